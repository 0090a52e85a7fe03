"""The journal with many jobs at once: the same as one by one."""

from __future__ import annotations

from pathlib import Path

from job_item.job import Status
from job_item.settings import Job
from tests.journals import EVENT, accept, claim, end_of, in_loop, journal_in
from worker.journal import Claim, Granted, Journal, Loaned
from worker.journal.values import LastWords
from worker.line import Line

IDS = ("a", "b", "c", "d")


async def claim_all(journal: Journal) -> dict[str, tuple[int, Claim]]:
    """Claim all that wait; by task id, with their numbers."""
    numbers = [waiting.seq for waiting in journal.waiting(EVENT, 0, 100)]
    claims = await journal.claim_all(numbers, 200.0)
    return {claim.task_id: (number, claim) for number, claim in claims.items()}


@in_loop
async def test_jobs_are_claimed_together_each_with_a_fence_of_its_own(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, *IDS)
        await journal.ask_cancel("b")
        numbers = [1, 2, 3, 4, 99]
        claims = await journal.claim_all(numbers, 200.0)
        assert [(claim.task_id, claim.attempt) for claim in claims.values()] == [("a", 1), ("c", 1), ("d", 1)]
        assert len({claim.fence for claim in claims.values()}) == 3
        assert await journal.claim_all(numbers, 201.0) == {}
        assert journal.counts()[Status.RUNNING] == 3
        record = journal.record("a")
        assert record is not None
        assert (record.status, record.attempts[0].fence) == (Status.RUNNING, claims[1].fence)


@in_loop
async def test_they_are_settled_together_each_as_it_ended(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, *IDS)
        claims = await claim_all(journal)
        await journal.ask_cancel("c")
        ends = {
            claims["a"][0]: end_of(claims["a"][1], output=b'{"x":1}'),
            claims["b"][0]: end_of(claims["b"][1], Status.ERROR, retry_at=400.0, error="no"),
            claims["c"][0]: end_of(claims["c"][1], Status.ERROR, retry_at=400.0),
            claims["d"][0]: end_of(claims["d"][1])._replace(fence=7),
            99: end_of(claims["d"][1]),
        }
        words = [LastWords(0.0), None, None, LastWords(0.0), LastWords(0.0)]
        assert await journal.settle_all(ends, words) == [Status.FINISH, Status.QUEUED, Status.TERMINATE, None, None]
        assert await journal.settle_all({claims["a"][0]: ends[claims["a"][0]]}) == [None]
        record = journal.record("a")
        assert record is not None
        assert record.attempts[0].output == {"x": 1}
        assert [(said.task_id, said.kind) for said in journal.sayings(0, 10)] == [("a", "finish")]
        counts = journal.counts()
        assert (counts[Status.FINISH], counts[Status.QUEUED], counts[Status.RUNNING]) == (1, 1, 1)


@in_loop
async def test_what_was_not_begun_waits_again_as_if_it_had_not_been_claimed(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, *IDS)
        claims = await claim_all(journal)
        await journal.ask_cancel("b", Status.TIMEOUT)
        fences = {number: claim.fence for number, claim in claims.values()}
        fences[claims["d"][0]] += 1  # of somebody else's attempt
        given = await journal.give_back(fences)
        assert given == {claims["a"][0]: None, claims["b"][0]: Status.TIMEOUT, claims["c"][0]: None}
        record = journal.record("a")
        assert record is not None
        assert (record.status, record.attempt, record.attempts) == (Status.QUEUED, 0, ())
        again = await claim_all(journal)
        assert [(task_id, claim.attempt) for task_id, (_, claim) in again.items()] == [("a", 1), ("c", 1)]
        assert again["a"][1].fence > claims["d"][1].fence


@in_loop
async def test_a_job_of_the_dead_letters_is_claimed_and_settled_among_others_as_it_is_alone(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b")
        claims = await claim_all(journal)
        ends = {number: end_of(made, Status.ERROR, is_dead=True) for number, made in claims.values()}
        await journal.settle_all(ends)
        assert [record.task_id for record in journal.dead(10)] == ["b", "a"]
        assert await journal.revive("a") is not None
        again = (await claim_all(journal))["a"][1]
        assert (again.attempt, again.spent) == (2, 1)


@in_loop
async def test_a_job_that_the_broker_gave_up_keeps_its_fences_growing_among_others(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.borrow("a", EVENT, b"{}", 100.0, Loaned(2))
        lent = await claim(journal, "a")
        await journal.own("a")
        await journal.settle(end_of(lent, Status.ERROR, retry_at=1.0))
        assert [waiting.is_leased for waiting in journal.waiting(EVENT, 0, 10)] == [False]
        assert (await claim_all(journal))["a"][1].fence > lent.fence


@in_loop
async def test_what_is_said_of_a_job_on_loan_is_held_back_among_others_too(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        await journal.borrow("b", EVENT, b"{}", 100.0, Loaned(1))
        assert [waiting.is_leased for waiting in journal.waiting(EVENT, 0, 10)] == [False, True]
        ends = {number: end_of(made) for number, made in (await claim_all(journal)).values()}
        await journal.settle_all(ends, [LastWords(0.0), LastWords(0.0)])
        assert [said.task_id for said in journal.sayings(0, 10)] == ["a"]
        assert journal.unsaid() == ["b"]
        await journal.own("b")
        assert [said.task_id for said in journal.sayings(0, 10)] == ["a", "b"]


@in_loop
async def test_a_job_of_the_reefguide_api_is_no_dead_letter(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        grant = await journal.ask_grant("api", 7, EVENT, "me")
        await journal.take_grant(grant.number, Granted(1, "s3://bucket", 60.0), "a", EVENT, b"{}")
        await journal.settle(end_of(await claim(journal, "a"), Status.ERROR, is_dead=True), LastWords(0.0, result=b"7"))
        assert journal.dead(10) == []
        known = journal.grant("a")
        assert known is not None
        assert (known.result, known.has_ended) == (b"7", True)


@in_loop
async def test_a_job_on_loan_is_not_sent_ahead_with_others(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b")
        await journal.borrow("c", EVENT, b"{}", 100.0, Loaned(1))
        await accept(journal, "d")
        line = Line(Job(event=EVENT, handler="acts:small"))
        first = line.take(journal, lambda _, __: None)
        assert first is not None
        assert [waiting.task_id for waiting in (first, *line.take_more(10))] == ["a", "b"]

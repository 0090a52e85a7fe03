"""A certificate that nobody trusts, and its key, for servers of tests. Valid for localhost until 2126."""

from __future__ import annotations

PEM = """\
-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUfFx4lrDhPZtVmkIJ4p0X1Bu5xoUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA0MjgzMFoYDzIxMjYxMDI5
MDQyODMwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARgm5zx+FRwMTIzgqwitqa8rw6i6nKVYTyM5uJBkgn7gXxxTdmRSIzn
jCf+atIAfzpo1hgFo9i948i5StRleqFwo28wbTAdBgNVHQ4EFgQUwsJYzJhcJRu6
4swJlpVe4mF8cxQwHwYDVR0jBBgwFoAUwsJYzJhcJRu64swJlpVe4mF8cxQwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgAMXyp9mlJU6xUaAF0wgrvJ39Bb3qC22nOvzCF+LCxqoCIGsL
PqG6hT/YghoDQGdIBF5xO+/YQjAD4soWUx566ues
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9Z071VUOlc6zEKUZ
mu1s9SMQi664uJtBoQInyhi14IOhRANCAARgm5zx+FRwMTIzgqwitqa8rw6i6nKV
YTyM5uJBkgn7gXxxTdmRSIznjCf+atIAfzpo1hgFo9i948i5StRleqFw
-----END PRIVATE KEY-----
"""

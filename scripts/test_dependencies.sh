#!/usr/bin/env bash
# Fetches what tests use beyond PyPI wheels. Never fails: tests that lack something skip and say so.
set -u
cd "$(dirname "$0")/.."

scripts/fetch_helm.sh || echo "helm could not be had: the chart tests will skip" >&2

if ! ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 && ! command -v pg_ctl >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing PostgreSQL for the tests ..."
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql; } \
      >/dev/null 2>&1 || echo "PostgreSQL could not be had: the tests on it will skip" >&2
  else
    echo "PostgreSQL is not installed and cannot be by this user: the tests on it will skip" >&2
  fi
fi
exit 0

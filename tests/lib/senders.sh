#!/usr/bin/env bash
# Installs the real senders and the foreign receiver that the interoperation tests use. Root on Debian; idempotent.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
missing=()
for pair in logger:bsdutils rsyslogd:rsyslog busybox:busybox python3:python3 ip:iproute2 ss:iproute2 sudo:sudo; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
# The zones that the differential tests set the others' clocks to.
[ -e /usr/share/zoneinfo/Europe/Berlin ] || missing+=(tzdata)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ ${#missing[@]} -gt 0 ]; then
    echo "senders: installing ${missing[*]}"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

# A receiver of Lumberjack v2 and a reader of metrics that this project did not write; under target/, out of the way of
# the machine's Python.
python=target/python
for package in timbersnake==0.1.0 prometheus_client==0.22.1; do
    [ -d "$python/${package%%==*}" ] || python3 -m pip install --quiet --disable-pip-version-check \
        --root-user-action ignore --target "$python" "$package"
done

# rsyslog and syslog-ng for the differential tests, beside whatever is installed.
bash benches/peers target/bench-peers
echo "senders: logger, rsyslog, busybox, Python, timbersnake and prometheus_client are ready"

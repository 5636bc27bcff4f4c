#!/usr/bin/env bash
# Prepares a bare Debian machine (root, no systemd needed) for the tests with real container engines.
#
#   bash tests/lib/engines.sh
#
# Idempotent. It installs Podman and Docker from Debian, makes the ordinary user `soc` that the rootless and the sudo
# variants run as, and starts a Docker daemon where none answers. Everything here is the test machine's matter: the
# product needs none of it, and the machine's own settings are left alone where they exist already.
set -euo pipefail

# The manual's SOC_USER in all tests.
SOC_TEST_USER=${SOC_TEST_USER:-soc}
# Where tests/engine_pull.rs serves an image.
SOC_TEST_REGISTRY_PORT=5087
# How long a Docker daemon may take until its socket answers.
DOCKER_START_TIMEOUT_S=60

say() { printf 'engines: %s\n' "$*"; }
die() { printf 'engines: ERROR: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || die "must run as root"

install_packages() {
    # Names are the commands' (or files') that prove the package; apt is not asked where all are there.
    local missing=() pair
    for pair in podman:podman runc:runc conmon:conmon slirp4netns:slirp4netns newuidmap:uidmap \
        fuse-overlayfs:fuse-overlayfs catatonit:catatonit dockerd:docker.io containerd:containerd sudo:sudo \
        ip:iproute2 iptables:iptables pkill:procps python3:python3 /usr/lib/podman/netavark:netavark \
        /usr/lib/podman/aardvark-dns:aardvark-dns; do
        command -v "${pair%%:*}" >/dev/null || [ -e "${pair%%:*}" ] || missing+=("${pair##*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

make_user() {
    id "$SOC_TEST_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$SOC_TEST_USER"
    # useradd gives ranges by itself where login.defs says so; rootless Podman cannot do without.
    local file
    for file in /etc/subuid /etc/subgid; do
        grep -q "^$SOC_TEST_USER:" "$file" 2>/dev/null || echo "$SOC_TEST_USER:100000:65536" >>"$file"
    done
    # What logind would make at login.
    local run_dir
    run_dir=/run/user/$(id -u "$SOC_TEST_USER")
    install -d -m 0755 /run/user
    install -d -m 0700 -o "$SOC_TEST_USER" -g "$(id -g "$SOC_TEST_USER")" "$run_dir"
    # The --sudo variants, without a password prompt.
    install -d -m 0750 /etc/sudoers.d
    printf '%s ALL=(root) NOPASSWD: ALL\n' "$SOC_TEST_USER" >/etc/sudoers.d/soc-connector-tests
    chmod 0440 /etc/sudoers.d/soc-connector-tests
}

# The least that a machine without systemd, with hybrid cgroups and without CAP_SYS_RESOURCE needs: runc (crun refuses
# hybrid cgroups), cgroupfs, and limits within what this shell itself has.
configure_podman() {
    install -d -m 0755 /etc/containers
    local file=/etc/containers/containers.conf marker='# written by tests/lib/engines.sh'
    if [ -e "$file" ] && ! grep -qF "$marker" "$file"; then
        say "$file is the machine's own and stays as it is"
    else
        cat >"$file" <<CONF
$marker
[containers]
default_ulimits = ["nofile=$(ulimit -Sn):$(ulimit -Hn)", "nproc=$(nproc_limit):$(nproc_limit)"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
    fi
    # The tests' own registry speaks plain HTTP, which Docker takes from loopback addresses without being told.
    install -d -m 0755 /etc/containers/registries.conf.d
    printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n' "$SOC_TEST_REGISTRY_PORT" \
        >/etc/containers/registries.conf.d/soc-connector-tests.conf
    # slirp4netns, the rootless network, opens the tun device as the ordinary user.
    if [ ! -e /dev/net/tun ]; then
        install -d -m 0755 /dev/net
        mknod /dev/net/tun c 10 200
    fi
    chmod 0666 /dev/net/tun
    # Ends a pause process of an earlier configuration, which would keep the old one alive.
    as_user podman system migrate >/dev/null 2>&1 || true
}

# Podman lowers its own limit to pid_max, and a container cannot get more than Podman has.
nproc_limit() {
    local limit most
    limit=$(ulimit -Hu)
    most=$(cat /proc/sys/kernel/pid_max)
    if [ "$limit" = unlimited ] || [ "$limit" -gt "$most" ]; then limit=$most; fi
    echo "$limit"
}

as_user() {
    (cd / && sudo -u "$SOC_TEST_USER" XDG_RUNTIME_DIR="/run/user/$(id -u "$SOC_TEST_USER")" "$@")
}

docker_answers() {
    [ -S /run/docker.sock ] && python3 - <<'PY' 2>/dev/null
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(2)
s.connect("/run/docker.sock")
s.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
sys.exit(b"200" not in s.recv(64))
PY
}

start_docker() {
    docker_answers && return
    say "starting dockerd; its log is /var/log/dockerd-tests.log"
    # A daemon that was killed leaves its pid file, and the next one refuses to start over it, or waits for the
    # containerd that it names. One that was killed and not yet waited for (state Z) still has its pid.
    local pid_file
    for pid_file in /run/docker.pid /run/docker/containerd/containerd.pid; do
        if [ -e "$pid_file" ] && ! grep -qs '^State:.[^ZX]' "/proc/$(cat "$pid_file")/status"; then rm -f "$pid_file"; fi
    done
    setsid nohup dockerd --host unix:///run/docker.sock >/var/log/dockerd-tests.log 2>&1 </dev/null &
    local waited=0
    until docker_answers; do
        [ $waited -lt $DOCKER_START_TIMEOUT_S ] || { tail -20 /var/log/dockerd-tests.log >&2; die "dockerd does not answer"; }
        sleep 1
        waited=$((waited + 1))
    done
}

install_packages
make_user
configure_podman
start_docker
as_user podman info >/dev/null || die "rootless Podman does not work"
podman info >/dev/null || die "Podman does not work"
say "Podman (rootless as $SOC_TEST_USER, and as root) and Docker are ready"

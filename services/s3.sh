#!/usr/bin/env bash
# A server that speaks S3 on 127.0.0.1: moto's, in a virtual environment of Python, in memory. It answers one request
# after the other, so that put-if-absent (`If-None-Match: *`) is one step. Any keys will do.
#
#   s3.sh install | start | stop | status
#
#   S3_PORT    15555          port
#   S3_BUCKET  proxima-test   the bucket that is made
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"

port=${S3_PORT:-15555}
bucket=${S3_BUCKET:-proxima-test}
dir=$(service_dir s3)
# Of moto's extra "server" only what this needs: the whole of it takes minutes to install.
packages=('moto[s3]==5.1.22' flask==3.1.3 flask-cors==6.0.5)

install() {
    need curl curl
    need python3 python3
    [ "$(cat "$dir/venv/.packages" 2>/dev/null)" != "${packages[*]}" ] || return 0
    say "pip: installing ${packages[*]}"
    rm -rf "$dir/venv"
    python3 -m venv "$dir/venv" >"$dir/pip.log" 2>&1 ||
        { apt_install python3-venv && python3 -m venv "$dir/venv" >"$dir/pip.log" 2>&1; } ||
        { cat "$dir/pip.log" >&2; die "a virtual environment of Python cannot be made"; }
    "$dir/venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >"$dir/pip.log" 2>&1 ||
        { cat "$dir/pip.log" >&2; die "pip failed"; }
    printf '%s' "${packages[*]}" >"$dir/venv/.packages"
}

serve='
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
'

start() {
    install
    if ! is_running s3; then
        port_free "$port"
        start_daemon s3 "$dir/venv/bin/python" -c "$serve" "$port"
    fi
    wait_daemon s3 60 curl -fsS -m 5 -X PUT "http://127.0.0.1:$port/$bucket"
    echo "s3: ready at http://127.0.0.1:$port"
}

case ${1:-} in
install) install ;;
start) start ;;
stop) stop_daemon s3 ;;
status) daemon_status s3 "http://127.0.0.1:$port" ;;
*) die "usage: $0 install | start | stop | status" ;;
esac

#!/bin/sh
# Installs what some tests of `make test-all` need beside Python: Chromium, Node and npm, by the machine's package manager.
# Where it cannot, it says so: those tests are skipped then.
wanted=""
command -v chromium >/dev/null || wanted="$wanted chromium"
command -v node >/dev/null || wanted="$wanted nodejs"
command -v npm >/dev/null || wanted="$wanted npm"
[ -z "$wanted" ] && exit 0
echo "tests: installing$wanted"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086  # a list of packages
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $wanted && exit 0
elif [ "$(id -u)" = 0 ] && command -v dnf >/dev/null; then
    # shellcheck disable=SC2086
    dnf install -q -y $wanted && exit 0
elif command -v brew >/dev/null; then
    # shellcheck disable=SC2086
    brew install --quiet $wanted && exit 0
fi
echo "tests:$wanted could not be installed (want root and apt-get or dnf, or brew); the tests that need them are skipped" >&2

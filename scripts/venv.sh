#!/bin/sh
# Make the virtual environment that `make` works in: venv.sh DIR EXTRA
#
# Debian and Ubuntu ship python3 without ensurepip. Then pip is taken out of their own
# package python3-pip-whl, unpacked into the environment: needs no root, changes no system.
set -eu
dir=$1 extra=$2
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "crossfade needs Python 3.11 or later; $python is $("$python" -V 2>&1). Name another: make PYTHON=python3.12 ..." >&2
  exit 1
}

if [ ! -x "$dir/bin/pip" ]; then
  echo "Creating $dir"
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv "$dir"
  elif command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
    "$python" -m venv --without-pip "$dir"
    (
      cd "$dir"
      apt-get download -qq python3-pip-whl >/dev/null 2>&1 || {
        if [ "$(id -u)" = 0 ]; then apt-get update -qq; fi
        apt-get download -qq python3-pip-whl
      }
      dpkg -x python3-pip-whl_*.deb pip-whl
      wheel=$(echo pip-whl/usr/share/python-wheels/pip-*.whl)
      bin/python "$wheel/pip" install --quiet --disable-pip-version-check "$wheel"
      rm -rf pip-whl python3-pip-whl_*.deb
    )
  else
    echo "this python3 cannot make virtual environments: install python3-venv (or your system's name for it)" >&2
    exit 1
  fi
fi

echo "Installing crossfade and what it needs into $dir (a minute or two, once)"
"$dir/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$extra]"
touch "$dir/.$extra"

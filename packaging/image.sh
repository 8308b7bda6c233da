#!/usr/bin/env bash
# Builds the image of the Containerfile where there is no registry: packaging/image.sh [base]
#
# Its base is made by mmdebstrap, and the wheels of its dependencies are fetched beforehand, so that what is built twice
# from the same parts has the same digest. Writes its files to build/image/root, and its configuration and its digest beside
# that; with ARCHIVE=1 also build/image/weighbridge.oci.tar, whose layer is compressed. Builds nothing if none of the parts
# has changed. With "base", only the base is made. EXTRAS=dask installs that extra, too, and its name ends the tag. Needs
# root, buildah and mmdebstrap.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-.venv/bin/python}
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/weighbridge
folder=build/image
mkdir -p "$folder" "$cache"
exec 9>"$cache/image.lock"
flock 9

# A system with a shell and Python, but without apt and Perl, and without what other images of Debian leave out.
debian=(--format=tar --variant=essential --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr
    --include=usr-is-merged,python3,python3-venv,ca-certificates,libstdc++6
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*'
    --dpkgopt='path-exclude=/usr/share/doc/*' --aptopt='Acquire::Languages "none"' bookworm)
base=$cache/base-$(printf '%s\n' "${debian[@]}" | sha256sum | cut -c1-12).tar
if [ ! -e "$base" ]; then
    echo "$0: making the base with mmdebstrap, once" >&2
    SOURCE_DATE_EPOCH=0 mmdebstrap --quiet "${debian[@]}" "$base.part"
    mv "$base.part" "$base"
fi
[ "${1:-}" != base ] || exit 0

# The commit's time is that of every file in the image. Outside of a repository it is that of the sources.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y pyproject.toml)}
revision=${REVISION:-$(git rev-parse HEAD 2>/dev/null || true)}
pip=("$PYTHON" -m pip --disable-pip-version-check --quiet)
wheels=$folder/wheels
mkdir -p "$wheels"
rm -f "$wheels"/weighbridge-*.whl
isolation=$("$PYTHON" -c 'import hatchling, setuptools' 2>/dev/null && echo --no-build-isolation || true)
"${pip[@]}" wheel --no-deps ${isolation:+"$isolation"} --wheel-dir "$wheels" .
ours=$(echo "$wheels"/weighbridge-*.whl)
version=$(basename "$ours" | cut -d- -f2)
tag=localhost/weighbridge:$version${EXTRAS:+-${EXTRAS//,/-}}
# Wheels for the base's Python, whatever the one here is.
lock=packaging/image.lock
wanted=$(sha256sum "$lock" | cut -c1-12)
if [ ! -e "$wheels/.fetched-$wanted" ]; then
    find "$wheels" -mindepth 1 ! -name 'weighbridge-*.whl' -delete
    "${pip[@]}" download --dest "$wheels" --only-binary=:all: --python-version 3.11 --implementation cp --no-deps --require-hashes \
        --requirement "$lock"
    touch "$wheels/.fetched-$wanted"
fi

inputs=$({ sha256sum Containerfile "$0" "$lock" "$wheels"/*.whl; echo "$base $revision $SOURCE_DATE_EPOCH ${EXTRAS:-}"; } | sha256sum)
archive=$folder/weighbridge.oci.tar
if [ "$inputs" = "$(cat "$folder/inputs" 2>/dev/null)" ] && [ "${AGAIN:-0}" = 0 ] && { [ "${ARCHIVE:-0}" = 0 ] || [ -e "$archive" ]; }; then
    exit 0
fi
export BUILDAH_ISOLATION=chroot
storage=$(mktemp -d "$PWD/$folder/storage.XXXXXX")
buildah=(buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs)
trap 'rm -rf "$storage"' EXIT
container=$("${buildah[@]}" from scratch)
"${buildah[@]}" add --quiet "$container" "$base" / >/dev/null
"${buildah[@]}" commit --quiet --rm "$container" localhost/weighbridge-base >/dev/null
"${buildah[@]}" bud --quiet --format oci --network none --timestamp "$SOURCE_DATE_EPOCH" \
    --build-arg BASE=localhost/weighbridge-base --build-arg WHEELS="$wheels" --build-arg PIP_NO_INDEX=1 \
    --build-arg EXTRAS="${EXTRAS:-}" \
    --build-arg VERSION="$version" --build-arg REVISION="$revision" \
    --build-arg CREATED="$(date --utc --date "@$SOURCE_DATE_EPOCH" +%FT%TZ)" \
    --file Containerfile --tag "$tag" . >/dev/null
rm -rf "$archive" "$folder/root" "$folder/inputs"
"${buildah[@]}" inspect --type image --format '{{.FromImageDigest}}' "$tag" >"$folder/digest"
"${buildah[@]}" inspect --type image --format '{{.Config}}' "$tag" >"$folder/config.json"
if [ "${ARCHIVE:-0}" = 1 ]; then
    "${buildah[@]}" push --quiet "$tag" "oci-archive:$archive:$tag"
fi
container=$("${buildah[@]}" from "$tag")
mv "$("${buildah[@]}" mount "$container")" "$folder/root"
echo "$inputs" >"$folder/inputs"
echo "$0: $tag $(cat "$folder/digest") in $folder" >&2

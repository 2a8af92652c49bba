#!/bin/sh
# Fetches the vendored libraries from npm anew, makes their imports relative, and writes VENDORED.md with their hashes.
# Run it by hand, look at the difference, commit. Neither building nor running Rapport needs it.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
list="preact@11.2.0 @preact/signals-core@1.14.5 @preact/signals@2.11.4 htm@3.1.1 marked@18.2.1
@highlightjs/cdn-assets@11.12.0 @fontsource-variable/noto-sans-bengali@5.3.0"
for package in $list; do
    (cd "$work" && npm pack --silent "$package" >/dev/null)
done
for file in "$work"/*.tgz; do
    mkdir -p "$work/x/$(basename "$file" .tgz)"
    tar xzf "$file" -C "$work/x/$(basename "$file" .tgz)" --strip-components=1
done
x="$work/x"
relative() { sed -e 's#"preact/hooks"#"./hooks.js"#g' -e 's#"preact"#"./preact.js"#g' -e 's#"@preact/signals-core"#"./signals-core.js"#g' -e '/^\/\/# sourceMappingURL=/d'; }
cat "$x"/preact-1*/dist/preact.mjs | relative >preact.js
cat "$x"/preact-1*/hooks/dist/hooks.mjs | relative >hooks.js
cat "$x"/preact-signals-core-*/dist/signals-core.mjs | relative >signals-core.js
cat "$x"/preact-signals-2*/dist/signals.mjs | relative >signals.js
cat "$x"/htm-*/dist/htm.mjs | relative >htm.js
cat "$x"/marked-*/lib/marked.esm.js | relative >marked.js
# d3-force comes in many small files over four packages: made one by esbuild, here only.
mkdir "$work/d3"
(cd "$work/d3" && npm init -y >/dev/null && npm install --silent d3-force@3.0.0 esbuild@0.25.0 >/dev/null &&
    echo 'export { forceSimulation, forceManyBody, forceLink, forceCenter, forceCollide, forceX, forceY } from "d3-force";' >e.js &&
    npx esbuild e.js --bundle --format=esm --minify --legal-comments=none --outfile=d3-force.js >/dev/null 2>&1)
cp "$work/d3/d3-force.js" d3-force.js
for package in d3-force d3-quadtree d3-dispatch d3-timer; do
    mkdir -p "$x/$package"
    cp "$work/d3/node_modules/$package/LICENSE" "$x/$package/"
done
mkdir -p highlight
h=$(echo "$x"/highlightjs-cdn-assets-*)/es
cp "$h"/core.min.js highlight/core.js
for name in bash c cpp csharp css diff dockerfile go ini java javascript json kotlin markdown php python ruby rust sql typescript xml yaml; do
    cp "$h/languages/$name.min.js" "highlight/$name.js"
done
cp "$x"/fontsource-*/files/noto-sans-bengali-bengali-wght-normal.woff2 noto-sans-bengali.woff2
: >LICENSES
for folder in "$x"/*; do
    printf '=== %s\n\n' "$(basename "$folder")" >>LICENSES
    cat "$folder"/LICENSE* >>LICENSES
    printf '\n' >>LICENSES
done
{
    echo '# Vendored libraries'
    echo
    echo 'Made by `update.sh` from the packages below, as npm has them; only their imports were made relative. LICENSES has their licences.'
    echo
    for package in $list 'd3-force@3.0.0 (with d3-quadtree, d3-dispatch, d3-timer; bundled by esbuild 0.25.0)'; do echo "- $package"; done
    echo
    echo '| file | SHA-256 |'
    echo '| --- | --- |'
    find . -type f \( -name '*.js' -o -name '*.woff2' \) | LC_ALL=C sort | while read -r file; do
        echo "| ${file#./} | $(sha256sum "$file" | cut -d' ' -f1) |"
    done
} >VENDORED.md

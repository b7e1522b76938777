#!/bin/sh
# build.sh CONTENT OUTPUT: makes the catalogue, one page a plant.  The whole
# output is made anew and then swapped in, so that a run leaves nothing of an
# earlier one and a reader never meets half a catalogue.
set -eu
content=$1 out=$2
new=$out.new.$$

escape() {
	sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' \
	    -e 's/"/\&quot;/g'
}

# page TITLE UP: a page around its standard input; UP leads to the top.
page() {
	printf '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
	printf '<title>%s</title>\n' "$1"
	printf '<link rel="stylesheet" href="%sstyle.css">\n' "$2"
	printf '<p><a href="%s">The seed library</a></p>\n<h1>%s</h1>\n' \
	    "$2" "$1"
	cat
	printf '</html>\n'
}

# field FILE NAME: the value of the line "NAME: value" in the head of FILE.
field() {
	sed -n -e '/^$/q' -e "s/^$2: *//p" "$1" | escape
}

rm -rf "$out".new.* "$out".old
mkdir -p "$new"
count=0 grams=0
for file in "$content"/*.txt; do
	[ -f "$file" ] || continue
	name=${file##*/}
	name=${name%.txt}
	title=$(field "$file" name)
	stock=$(field "$file" grams)
	case $stock in
	'' | *[!0-9]*)
		echo "build.sh: $file: grams: expected a number" >&2
		rm -rf "$new"
		exit 1
		;;
	esac
	mkdir "$new/$name"
	{
		printf '<p>Sow in <b>%s</b>. In stock: %s g.</p>\n<pre>' \
		    "$(field "$file" sow)" "$stock"
		sed '1,/^$/d' "$file" | escape
		printf '</pre>\n'
	} | page "$title" ../../ >"$new/$name/index.html"
	printf '<tr><td><a href="%s/">%s</a><td>%s<td class="n">%s\n' \
	    "$name" "$title" "$(field "$file" sow)" "$stock" >>"$new/rows"
	count=$((count + 1)) grams=$((grams + stock))
done
{
	printf '<table>\n<tr><th>Plant<th>Sow in<th>Grams\n'
	[ ! -f "$new/rows" ] || cat "$new/rows"
	printf '</table>\n<p>%d plants, %d grams in all.</p>\n' \
	    "$count" "$grams"
} | page Catalogue ../ >"$new/index.html"
rm -f "$new/rows"
mkdir -p "${out%/*}"
[ ! -d "$out" ] || mv "$out" "$out".old
mv "$new" "$out"
rm -rf "$out".old
echo "catalogue: $count plants, $grams grams"

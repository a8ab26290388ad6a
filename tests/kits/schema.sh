#!/usr/bin/env bash
# Validates the XML of a fresh federation's containers and its anchor against X-Road's schemas with
# xmllint. Published configuration is validated by `verify_configuration.py` in the registry's tests.
set -euo pipefail
for program in xmllint unzip; do
  command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
done
schemas=$(realpath -m "${CAUSEWAY_VECTORS:-../shared/vectors/xroad}")/schemas
[ -d "$schemas" ] || { echo "SKIPPED: no schemas in $schemas"; exit 77; }
cargo build --quiet --release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target/release/causeway up --once --state "$work/state" >"$work/up.txt" || { cat "$work/up.txt"; exit 1; }
checked=0
validate() { # SCHEMA FILE
  xmllint --noout --nonet --schema "$1" "$2" 2>"$work/errors" || { cat "$work/errors"; exit 1; }
  checked=$((checked + 1))
}
# The element around the signature belongs to ASiC, which X-Road has no schema of.
cat >"$work/signatures.xsd" <<EOF
<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"
    targetNamespace="http://uri.etsi.org/02918/v1.2.1#" elementFormDefault="qualified">
  <xsd:import namespace="http://www.w3.org/2000/09/xmldsig#" schemaLocation="$schemas/message-signature/xmldsig-core-schema.xsd"/>
  <xsd:import namespace="http://uri.etsi.org/01903/v1.3.2#" schemaLocation="$schemas/message-signature/xades-schema.xsd"/>
  <xsd:element name="XAdESSignatures">
    <xsd:complexType><xsd:sequence><xsd:element ref="ds:Signature"/></xsd:sequence></xsd:complexType>
  </xsd:element>
</xsd:schema>
EOF
while IFS= read -r -d '' container; do
  rm -rf "$work/open" && mkdir "$work/open"
  unzip -q "$container" -d "$work/open"
  # libxml2 takes no xs:integer of more than 24 digits; serial numbers are longer.
  sed -E 's|(X509SerialNumber>)[0-9]+<|\11<|g' "$work/open/META-INF/signatures.xml" >"$work/signatures.xml"
  validate "$work/signatures.xsd" "$work/signatures.xml"
  while IFS= read -r -d '' chain; do
    validate "$schemas"/message-signature/hashchain.xsd "$chain"
  done < <(find "$work/open" -name '*hashchain*.xml' -print0)
done < <(find "$work/state" -name '*.asice' -print0)
while IFS= read -r -d '' anchor; do
  validate "$schemas"/globalconf/v2/private-parameters.xsd "$anchor"
done < <(find "$work/state" -name '*anchor*.xml' -print0)
[ "$checked" -ge 3 ] || { echo "only $checked documents were found"; exit 1; }
echo "schema: $checked documents are valid"

#!/bin/sh
# The build record: what was proved, from which sources, on which axioms.
set -e
hash=$(for f in $(sed -n '/\.v$/p' _CoqProject | LC_ALL=C sort); do cat "$f"; done | sha256sum | cut -d' ' -f1)
awk -v hash="$hash" -v coq="$(coqc --print-version | cut -d' ' -f1)" '
  function close_theorem() { if (name != "") printf "%s", (axioms == "" ? "" : "\n      ") "]}" }
  BEGIN { printf "{\n  \"format\": 1,\n  \"coq\": \"%s\",\n  \"sources_sha256\": \"%s\",\n  \"theorems\": [", coq, hash }
  /^theorem / { close_theorem(); printf "%s\n    {\"name\": \"%s\", \"file\": \"proofs/coq/Theorems.v\", \"axioms\": [", (name == "" ? "" : ","), $2; name = $2; axioms = ""; next }
  /^[A-Za-z_.0-9]+ *:/ || /^[A-Za-z_.0-9]+$/ { a = $1; sub(/:$/, "", a); if (a == "Axioms" || a == "Closed") next
      printf "%s\"%s\"", (axioms == "" ? "\n      " : ", "), a; axioms = axioms a }
  END { close_theorem(); printf "\n  ]\n}\n" }
' build/audit.out

#!/bin/sh
# From the statements in $1: a Coq script that prints what each theorem rests on.
echo 'From Coq Require Import String.'
echo 'From PrefixProof Require Import Theorems.'
echo 'Open Scope string_scope.'
sed -n 's/^Theorem \([a-z0-9_]*\).*/\1/p' "$1" | while read -r name; do
  printf 'Goal True. idtac "theorem %s". exact I. Qed.\nPrint Assumptions %s.\n' "$name" "$name"
done

(** * The weights as text, for comparison with other implementations

    The format is described in README.md.  Everything is computed by Coq from the
    very definitions that the theorems are about. *)

From Coq Require Import List Arith ZArith QArith Qreduction String DecimalString.
From PrefixProof Require Import Model Constructions Encodings.
Import ListNotations.
Open Scope string_scope.

Definition newline : string := String (Ascii.ascii_of_nat 10) EmptyString.
Definition show_Z (z : Z) : string := NilZero.string_of_int (Z.to_int z).
Definition show_nat (n : nat) : string := show_Z (Z.of_nat n).
Definition line (words : list string) : string := String.concat " " words ++ newline.
Definition unlines (ls : list string) : string := String.concat "" ls.

Definition show_entry (r c : nat) (q : Q) : string :=
  let q := Qred q in
  if (Qnum q =? 0)%Z then "" else
  line [show_nat r; show_nat c; show_Z (Qnum q); show_Z (Zpos (Qden q))].
Definition show_matrix (name : string) (rows cols : nat) (W : matrix) : string :=
  line ["matrix"; name; show_nat rows; show_nat cols]
  ++ unlines (map (fun r => unlines (map (fun c => show_entry r c (W r c)) (seq 0 cols))) (seq 0 rows)).

Fixpoint numbered {A} (k : nat) (f : nat -> A -> string) (xs : list A) : string :=
  match xs with
  | [] => ""
  | x :: xs => f k x ++ numbered (S k) f xs
  end.
Definition show_head (prefix : string) (d_in d_out k : nat) (h : head) : string :=
  let name := prefix ++ "head" ++ show_nat k ++ "." in
  show_matrix (name ++ "W_Q") (head_dim h) d_in (W_Q h)
  ++ show_matrix (name ++ "W_K") (head_dim h) d_in (W_K h)
  ++ show_matrix (name ++ "W_V") d_out d_in (W_V h).
Definition show_layer (prefix : string) (k : nat) (l : linear) : string :=
  let name := prefix ++ "mlp" ++ show_nat k ++ "." in
  line ["layer"; prefix ++ "mlp" ++ show_nat k; if activated l then "relu" else "linear"]
  ++ show_matrix (name ++ "weight") (out_dim l) (in_dim l) (weight l)
  ++ show_matrix (name ++ "bias") (out_dim l) 1 (fun r _ => bias l r).
Definition show_block (k : nat) (b : block) : string :=
  let prefix := "block" ++ show_nat k ++ "." in
  numbered 0 (show_head prefix (width b) (value_dim b)) (heads b)
  ++ numbered 0 (show_layer prefix) (layers b).

Definition show (title : string) (encoding : string) (target : string) (tf : transformer) (p : prompt) : string :=
  line ["construction"; title]
  ++ line ["encoding"; encoding]
  ++ line ["target"; target]
  ++ line ["blocks"; show_nat (List.length (blocks tf))]
  ++ show_matrix "embedding" (embedding_dim tf) (vocab_size tf) (embedding tf)
  ++ show_matrix "position" (context_size tf) (context_size tf) (position_code tf)
  ++ numbered 0 show_block (blocks tf)
  ++ show_matrix "virtual_tokens" (prompt_size p) (embedding_dim tf) (virtual_token p).

Definition unconditional_title (V N : nat) : string :=
  "UnconditionalGeneration " ++ show_nat V ++ " " ++ show_nat N.
Definition unconditional_target : string := "y(i) = (7 i + 3) mod V".
Definition unconditional_example (V i : nat) : nat := (7 * i + 3) mod V.
Definition unconditional_text (V N : nat) : string :=
  show (unconditional_title V N) "paper" unconditional_target
    (unconditional_generation V N zero_matrix)
    (unconditional_prompt V (unconditional_example V)).
Definition unconditional_integers_text (V N : nat) : string :=
  show (unconditional_title V N) "integer" unconditional_target
    (unconditional_integers V N)
    (unconditional_integer_prompt (unconditional_example V)).

Definition conditional_title (V : nat) : string := "ConditionalGeneration " ++ show_nat V.
Definition conditional_target : string := "m(x) = (7 x + 3) mod V".
Definition conditional_example (V x : nat) : nat := (7 * x + 3) mod V.
Definition conditional_text (V : nat) : string :=
  show (conditional_title V) "paper" conditional_target
    (conditional_generation V) (conditional_prompt V (conditional_example V)).
Definition conditional_integers_text (V : nat) : string :=
  show (conditional_title V) "integer" conditional_target
    (conditional_integers V) (conditional_integer_prompt (conditional_example V)).

Definition longer_responses_title (V K : nat) : string :=
  "LongerResponses " ++ show_nat V ++ " " ++ show_nat K.
Definition longer_responses_target : string := "m_g(x) = (7 x + 5 g + 3) mod V".
Definition longer_responses_example (V g x : nat) : nat := (7 * x + 5 * g + 3) mod V.
Definition longer_responses_text (V K : nat) : string :=
  show (longer_responses_title V K) "paper" longer_responses_target
    (longer_responses V K)
    (longer_responses_prompt V K (longer_responses_example V)).
Definition longer_responses_integers_text (V K : nat) : string :=
  show (longer_responses_title V K) "integer" longer_responses_target
    (longer_responses_integers V K)
    (longer_responses_integer_prompt K (longer_responses_example V)).

Definition longer_inputs_text (V n : nat) : string :=
  show ("LongerInputs " ++ show_nat V ++ " " ++ show_nat n) "paper"
    "m(x_1..x_n) = (7 L + 3) mod V, L = x_1 V^(n-1) + ... + x_n"
    (longer_inputs V n)
    (longer_inputs_prompt V n
       (fun xs => (7 * fold_left (fun L x => L * V + x) xs 0 + 3) mod V)%nat).

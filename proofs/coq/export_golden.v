(* Run by `make golden`: writes one file per size (see README.md). *)
From Coq Require Import String.
From PrefixProof Require Import Golden.
Open Scope string_scope.
Set Printing Width 1000000.
Set Printing Depth 1000000.
Redirect "build/golden/unconditional_generation_1_1" Eval vm_compute in unconditional_text 1 1.
Redirect "build/golden/unconditional_generation_5_4" Eval vm_compute in unconditional_text 5 4.
Redirect "build/golden/unconditional_generation_16_4" Eval vm_compute in unconditional_text 16 4.
Redirect "build/golden/unconditional_generation_94_20" Eval vm_compute in unconditional_text 94 20.
Redirect "build/golden/conditional_generation_1" Eval vm_compute in conditional_text 1.
Redirect "build/golden/conditional_generation_5" Eval vm_compute in conditional_text 5.
Redirect "build/golden/conditional_generation_16" Eval vm_compute in conditional_text 16.
Redirect "build/golden/conditional_generation_94" Eval vm_compute in conditional_text 94.
Redirect "build/golden/longer_responses_1_1" Eval vm_compute in longer_responses_text 1 1.
Redirect "build/golden/longer_responses_3_2" Eval vm_compute in longer_responses_text 3 2.
Redirect "build/golden/longer_responses_10_3" Eval vm_compute in longer_responses_text 10 3.
Redirect "build/golden/longer_inputs_1_2" Eval vm_compute in longer_inputs_text 1 2.
Redirect "build/golden/longer_inputs_2_2" Eval vm_compute in longer_inputs_text 2 2.
Redirect "build/golden/longer_inputs_3_2" Eval vm_compute in longer_inputs_text 3 2.
Redirect "build/golden/longer_inputs_2_3" Eval vm_compute in longer_inputs_text 2 3.
Redirect "build/golden/longer_inputs_4_2" Eval vm_compute in longer_inputs_text 4 2.
(* The integer encoding, of which the theorems in IEEE arithmetic speak. *)
Redirect "build/golden/unconditional_generation_integer_1_1" Eval vm_compute in unconditional_integers_text 1 1.
Redirect "build/golden/unconditional_generation_integer_5_4" Eval vm_compute in unconditional_integers_text 5 4.
Redirect "build/golden/unconditional_generation_integer_17_4" Eval vm_compute in unconditional_integers_text 17 4.
Redirect "build/golden/unconditional_generation_integer_46_4" Eval vm_compute in unconditional_integers_text 46 4.
Redirect "build/golden/unconditional_generation_integer_94_20" Eval vm_compute in unconditional_integers_text 94 20.
Redirect "build/golden/conditional_generation_integer_1" Eval vm_compute in conditional_integers_text 1.
Redirect "build/golden/conditional_generation_integer_5" Eval vm_compute in conditional_integers_text 5.
Redirect "build/golden/conditional_generation_integer_17" Eval vm_compute in conditional_integers_text 17.
Redirect "build/golden/conditional_generation_integer_46" Eval vm_compute in conditional_integers_text 46.
Redirect "build/golden/conditional_generation_integer_94" Eval vm_compute in conditional_integers_text 94.
Redirect "build/golden/longer_responses_integer_1_1" Eval vm_compute in longer_responses_integers_text 1 1.
Redirect "build/golden/longer_responses_integer_3_2" Eval vm_compute in longer_responses_integers_text 3 2.
Redirect "build/golden/longer_responses_integer_10_3" Eval vm_compute in longer_responses_integers_text 10 3.

(** * The theorems

    Statements alone; each is proved by a lemma of another file.  The transformers
    ([unconditional_generation V N E], ...) are in Constructions.v, [forward] and
    [generate] in Model.v.  In every statement the transformer comes BEFORE the
    target: its weights do not depend on it.  Tokens and positions count from 0.

    - [generate o tf nz m p user k]: the [k] tokens that [tf] generates greedily, in
      the number type [o], with attention [nz] and mask [m], after the prompt [p]
      and the user's tokens [user].
    - [softmax T]: inverse temperature [T h n] for head [h] at length [n]
      ([T / sqrt k] in the paper).  [hardmax]: its limit.
    - [sequence V N y]: [y 0, ..., y (N-1)] are tokens, below [V]. *)

From Coq Require Import List Arith ZArith QArith Qreals Reals Lia.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions SumLemmas RealForward
  UnconditionalGeneration UnconditionalTemperature ConditionalGeneration
  LongerResponses LongerInputs Prefix Encodings Floats FloatEncodings FloatSoftmax
  FloatGeneration FloatBounds MatrixUnits MatrixUnitSums MatrixUnitGeneration.
Import ListNotations.
Open Scope R_scope.

(** ** Theorem 1: unconditional generation *)

(** The paper's statement: for any [V], [N] there is ONE transformer (one attention
    layer of two heads, three linear layers) such that for every sequence of [N]
    tokens there is one virtual token after which it generates that sequence. *)
Theorem theorem_1 : forall V N, exists tf,
  vocab_size tf = V /\ context_size tf = N /\ embedding_dim tf = N /\
  map (fun b => (length (heads b), length (layers b))) (blocks tf) = [(2, 3)]%nat /\
  forall y, sequence V N y -> exists p, prompt_size p = 1%nat /\
    generate real tf (hardmax real) causal p [] N = map y (seq 0 N).
Proof.
  intros V N. exists (unconditional_generation V N zero_matrix). repeat split; try reflexivity.
  intros y Hy. exists (unconditional_prompt V y). split; [reflexivity|].
  now apply unconditional_hardmax; auto using admissible_causal.
Qed.

(** Hardmax: any token embedding [E], any mask in which a position sees itself and
    the first. *)
Theorem theorem_1_hardmax : forall V N E y m,
  sequence V N y -> admissible m ->
  generate real (unconditional_generation V N E) (hardmax real) m (unconditional_prompt V y) [] N
  = map y (seq 0 N).
Proof. intros. now apply unconditional_hardmax. Qed.

(** Softmax, [E = 0], the same inverse temperature [tau] in both heads: all
    sequences are generated if and only if [exp tau > (N-1)(4V-3)]. *)
Theorem theorem_1_softmax_iff : forall V N tau m,
  (2 <= V)%nat -> (1 <= N)%nat -> admissible m -> last_sees_all m ->
  ((forall y, sequence V N y ->
      generate real (unconditional_generation V N zero_matrix) (softmax (fun _ _ => tau)) m
        (unconditional_prompt V y) [] N = map y (seq 0 N))
   <-> (INR N - 1) * (4 * INR V - 3) < exp tau).
Proof. exact zero_embedding_iff. Qed.

(** The same, position by position, for any admissible mask: with [t] visible
    positions, token [y i] wins strictly if and only if it is 0 or
    [exp tau > (t-1)(2(V + y i) - 1)]. *)
Theorem theorem_1_position_iff : forall V N y tau m tokens i,
  let n := (1 + length tokens)%nat in
  let t := count n (m n i) in
  sequence V N y -> admissible m -> (n <= N)%nat -> (i < n)%nat ->
  (decodes V (logits real (unconditional_generation V N zero_matrix) (softmax (fun _ => tau)) m
     (unconditional_prompt V y) tokens i) (y i)
   <-> y i = 0%nat \/ (INR t - 1) * (2 * (INR V + INR (y i)) - 1) < exp (tau n)).
Proof. exact position_iff. Qed.

(** Every token embedding with entries of absolute value at most [M]: all are
    generated if and only if [exp tau > (N-1)(4V-3+2VM)]. *)
Theorem theorem_1_bounded_embedding_iff : forall V N (M : Q) tau m,
  (2 <= V)%nat -> (1 <= N)%nat -> 0 <= Q2R M -> admissible m -> last_sees_all m ->
  ((forall E y, bounded V N E (Q2R M) -> sequence V N y ->
      generate real (unconditional_generation V N E) (softmax (fun _ _ => tau)) m
        (unconditional_prompt V y) [] N = map y (seq 0 N))
   <-> (INR N - 1) * (4 * INR V - 3 + 2 * INR V * Q2R M) < exp tau).
Proof. exact constant_iff. Qed.

(** A temperature per head: the two heads' leaks add up to less than half a step. *)
Theorem theorem_1_temperatures_iff : forall V N (M : Q) (T : head -> R) m,
  (2 <= V)%nat -> (1 <= N)%nat -> 0 <= Q2R M -> admissible m -> last_sees_all m ->
  let c := INR N - 1 in
  let q_self := exp (T (unconditional_self N)) in
  let q_first := exp (T (unconditional_first N)) in
  ((forall E y, bounded V N E (Q2R M) -> sequence V N y ->
      generate real (unconditional_generation V N E) (softmax (fun h _ => T h)) m
        (unconditional_prompt V y) [] N = map y (seq 0 N))
   <-> c / (q_self + c) + c / (q_first + c) * ((INR V - 1) / INR V + Q2R M) < / (2 * INR V)).
Proof. exact per_head_iff. Qed.

(** The scaling of the authors' notebook: scores divided by the square root of the
    current LENGTH, no causal mask. *)
Theorem theorem_1_notebook_iff : forall V N tau,
  (2 <= V)%nat -> (2 <= N)%nat ->
  ((forall E y, bounded V N E 0 -> sequence V N y ->
      generate real (unconditional_generation V N E) (softmax (fun _ n => tau / sqrt (INR n))) full
        (unconditional_prompt V y) [] N = map y (seq 0 N))
   <-> sqrt (INR N) * ln ((INR N - 1) * (4 * INR V - 3)) < tau).
Proof. exact notebook_iff. Qed.

(** ** Theorem 2: conditional generation *)

(** The paper's statement: ONE transformer, for every map from a token to a token
    one virtual token after which it answers every [x] by [f x]. *)
Theorem theorem_2 : forall V, exists tf,
  vocab_size tf = V /\ context_size tf = 2%nat /\ embedding_dim tf = V /\
  map (fun b => (length (heads b), length (layers b))) (blocks tf) = [(2, 3)]%nat /\
  forall f, sequence V V f -> exists p, prompt_size p = 1%nat /\
    forall x, (x < V)%nat -> generate real tf (hardmax real) causal p [x] 1 = [f x].
Proof.
  intros V. exists (conditional_generation V). repeat split; try reflexivity.
  intros f Hf. exists (conditional_prompt V f). split; [reflexivity|].
  intros x Hx. now apply conditional_hardmax; auto using admissible_causal.
Qed.

Theorem theorem_2_hardmax : forall V f x m,
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate real (conditional_generation V) (hardmax real) m (conditional_prompt V f) [x] 1 = [f x].
Proof. exact conditional_hardmax. Qed.

(** Softmax: correct at EVERY inverse temperature that both heads share. *)
Theorem theorem_2_softmax : forall V f x tau m,
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate real (conditional_generation V) (softmax (fun _ _ => tau)) m (conditional_prompt V f) [x] 1
  = [f x].
Proof. exact conditional_softmax. Qed.

(** A temperature per head: every map is answered with a strict winner if and only
    if the leaks of the two heads differ by little. *)
Theorem theorem_2_temperatures_iff : forall V T m, (2 <= V)%nat -> admissible m ->
  let delta := 1 / (1 + exp (T (conditional_self V) 2%nat))
             - 1 / (1 + exp (T (conditional_first V) 2%nat)) in
  (forall f x, sequence V V f -> (x < V)%nat ->
     decodes V (logits real (conditional_generation V) (softmax T) m (conditional_prompt V f) [x] 1)
       (f x))
  <-> - (1) / (2 * INR V) < delta < 1 / (2 * (INR V - 1)).
Proof. exact conditional_softmax_iff. Qed.

(** ** Longer responses: [f g x] is the [g]-th token of the answer to [x] *)

Theorem longer_responses_hardmax : forall V K f x m,
  responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate real (longer_responses V K) (hardmax real) m (longer_responses_prompt V K f) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof. exact longer_responses_hardmax_all. Qed.

(** Softmax: if and only if [exp tau > (4V-3)(2K-2) - 1]. *)
Theorem longer_responses_softmax_iff : forall V K m tau,
  (2 <= V)%nat -> (1 <= K)%nat -> sees_prompt K m -> last_sees_all m ->
  ((forall f x, responses V K f -> (x < V)%nat ->
      generate real (longer_responses V K) (softmax (fun _ _ => tau)) m
        (longer_responses_prompt V K f) [x] K = map (fun g => f g x) (seq 0 K))
   <-> (4 * INR V - 3) * (2 * INR K - 2) - 1 < exp tau).
Proof. exact longer_responses_softmax_exact. Qed.

(** ** Longer user inputs: any number [n >= 2] of user tokens, one answer token *)

Theorem longer_inputs_hardmax : forall V n f xs m,
  (2 <= n)%nat -> answers V n f ->
  length xs = n -> (forall v, In v xs -> (v < V)%nat) -> sees_chain n m ->
  generate real (longer_inputs V n) (hardmax real) m (longer_inputs_prompt V n f) xs 1 = [f xs].
Proof. exact longer_inputs_decode_hardmax. Qed.

(** Softmax, causal: sufficient (not claimed to be necessary). *)
Theorem longer_inputs_softmax : forall V n f xs tau,
  (2 <= n)%nat -> answers V n f ->
  length xs = n -> (forall v, In v xs -> (v < V)%nat) ->
  3 * INR n <= exp tau ->
  (forall l, (2 <= l < n)%nat -> INR l * (8 * INR V ^ (V ^ (n - l)) - 1) <= exp tau) ->
  INR n * (4 * INR V - 1) < exp tau ->
  generate real (longer_inputs V n) (softmax (fun _ _ => tau)) causal (longer_inputs_prompt V n f) xs 1
  = [f xs].
Proof. exact longer_inputs_decode_softmax. Qed.

(** ** Attention under a prefix (section 4)

    Any head, any weights, any vectors: [p] prefix vectors [s] before [n] content
    vectors [x]; [prefix_attention] is what position [i] gives to the prefix. *)

(** The relative attention over content cannot change. *)
Theorem attention_rescaling : forall T d p n m s x i,
  (i < n)%nat -> m i i = true -> forall h j,
  attention_weight T d (p + n) (prefixed_mask p m) h (prefixed p s x) (p + i) (p + j)
  = (1 - prefix_attention T d p n m s x i h) * attention_weight T d n m h x i j.
Proof. exact content_rescaled. Qed.

(** And the factor is between 0 (excluded) and 1. *)
Theorem attention_rescaling_range : forall T d p n m s x i,
  (i < n)%nat -> m i i = true -> forall h,
  0 <= prefix_attention T d p n m s x i h < 1.
Proof. exact prefix_attention_bounds. Qed.

(** The head's output is scaled, and moved towards the values [W_V s_k]. *)
Theorem attention_bias : forall T d p n m s x i,
  (i < n)%nat -> m i i = true -> forall h r,
  attention real (softmax (fun h _ => T h)) d (p + n) (prefixed_mask p m) h (prefixed p s x) (p + i) r
  = (1 - prefix_attention T d p n m s x i h) * attention real (softmax (fun h _ => T h)) d n m h x i r
    + Rsum p (fun k =>
        attention_weight T d (p + n) (prefixed_mask p m) h (prefixed p s x) (p + i) k
        * project real d (W_V h) (s k) r).
Proof. exact head_biased. Qed.

(** A layer of any number of heads: head by head. *)
Theorem attention_bias_layer : forall T d p n m s x i,
  (i < n)%nat -> m i i = true -> forall hs r,
  attention_layer real (softmax (fun h _ => T h)) d (p + n) (prefixed_mask p m) hs (prefixed p s x) (p + i) r
  = fold_right (fun h total =>
      ((1 - prefix_attention T d p n m s x i h) * attention real (softmax (fun h _ => T h)) d n m h x i r
       + Rsum p (fun k =>
           attention_weight T d (p + n) (prefixed_mask p m) h (prefixed p s x) (p + i) k
           * project real d (W_V h) (s k) r)) + total) 0 hs.
Proof. exact layer_biased. Qed.

(** ** IEEE floating-point arithmetic

    [ieee prec emax ... o]: [o] rounds every operation to nearest even in the format,
    and evaluates sums and dot products in any order, fused or not; [binary16],
    [bfloat16], [binary32], [binary64] are instances.  [*_integers] are the same
    constructions with tokens encoded as integers instead of multiples of [1/V]. *)

(** Such arithmetics exist. *)
Theorem theorem_1_ieee_exists : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax),
  (3 <= emax + prec)%Z -> exists o, ieee prec emax Hp He o.
Proof. intros. eexists. now apply left_to_right_ieee. Qed.

(** Any usable format: exact as long as [(V-1)^2 <= 2^prec]. *)
Theorem theorem_1_ieee : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) o V N y m,
  usable prec emax -> ieee prec emax Hp He o ->
  (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply unconditional_integers_ieee; eauto using hardmax_ok. Qed.

Theorem theorem_2_ieee : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) o V f x m,
  usable prec emax -> ieee prec emax Hp He o ->
  (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros. eapply conditional_integers_ieee; eauto using hardmax_ok. Qed.

Theorem longer_responses_ieee : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) o V K f x m,
  usable prec emax -> ieee prec emax Hp He o ->
  (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z ->
  responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate o (longer_responses_integers V K) (hardmax o) m (longer_responses_integer_prompt K f) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof. intros. eapply responses_integers_ieee; eauto using hardmax_ok. Qed.

Theorem theorem_1_binary16 : forall o V N y m, binary16 o -> (V <= 46)%nat ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply theorem_1_ieee; eauto using usable16. eapply (square_bound V 45); [assumption|vm_compute; discriminate]. Qed.
Theorem theorem_2_binary16 : forall o V f x m, binary16 o -> (V <= 46)%nat ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros. eapply theorem_2_ieee; eauto using usable16. eapply (square_bound V 45); [assumption|vm_compute; discriminate]. Qed.

Theorem theorem_1_bfloat16 : forall o V N y m, bfloat16 o -> (V <= 17)%nat ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply theorem_1_ieee; eauto using usable_bf16. eapply (square_bound V 16); [assumption|vm_compute; discriminate]. Qed.
Theorem theorem_2_bfloat16 : forall o V f x m, bfloat16 o -> (V <= 17)%nat ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros. eapply theorem_2_ieee; eauto using usable_bf16. eapply (square_bound V 16); [assumption|vm_compute; discriminate]. Qed.

Theorem theorem_1_binary32 : forall o V N y m, binary32 o -> (V <= 4097)%nat ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply theorem_1_ieee; eauto using usable32. eapply (square_bound V 4096); [assumption|vm_compute; discriminate]. Qed.
Theorem theorem_2_binary32 : forall o V f x m, binary32 o -> (V <= 4097)%nat ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros. eapply theorem_2_ieee; eauto using usable32. eapply (square_bound V 4096); [assumption|vm_compute; discriminate]. Qed.

Theorem theorem_1_binary64 : forall o V N y m, binary64 o -> (Z.of_nat V <= 94906266)%Z ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply theorem_1_ieee; eauto using usable64. nia. Qed.
Theorem theorem_2_binary64 : forall o V f x m, binary64 o -> (Z.of_nat V <= 94906266)%Z ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros. eapply theorem_2_ieee; eauto using usable64. nia. Qed.

(** 4097 is the true bound of binary32: with 4098 tokens, summing left to right,
    the last token's logit is not above that of the token before it. *)
Theorem theorem_1_binary32_bound :
  let o := left_to_right 24 128 eq_refl eq_refl in
  let logit := logits o (unconditional_integers 4098 1) (hardmax o) causal
    (unconditional_integer_prompt (fun _ => 4097%nat)) [] 0 in
  leb o (logit 4097%nat) (logit 4096%nat) = true.
Proof. exact binary32_4098. Qed.

(** The paper's own encoding (multiples of [1/V]), for [V = 2^k]: [k <= 12] in
    binary32, 26 in binary64, 5 in binary16, 4 in bfloat16. *)
Theorem theorem_1_powers_of_two : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) o V k N y m,
  usable prec emax -> ieee prec emax Hp He o ->
  (1 <= k)%Z -> (2 * k <= prec)%Z -> (2 * k <= emax + prec - 3)%Z -> Z.of_nat V = (2 ^ k)%Z ->
  sequence V N y -> admissible m ->
  generate o (unconditional_generation V N zero_matrix) (hardmax o) m (unconditional_prompt V y) [] N
  = map y (seq 0 N).
Proof. intros. eapply unconditional_powers_ieee; eauto using hardmax_ok. Qed.
Theorem theorem_2_powers_of_two : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) o V k f x m,
  usable prec emax -> ieee prec emax Hp He o ->
  (1 <= k)%Z -> (2 * k <= prec)%Z -> (2 * k <= emax + prec - 3)%Z -> Z.of_nat V = (2 ^ k)%Z ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_generation V) (hardmax o) m (conditional_prompt V f) [x] 1 = [f x].
Proof. intros. eapply conditional_powers_ieee; eauto using hardmax_ok. Qed.

(** Softmax in floating point (the largest score subtracted before [exp]): exactly
    one-hot, if [exp] is 1 at 0 and 0 at minus every head's inverse temperature. *)
Theorem theorem_1_ieee_softmax : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) o exp_ T V N y m,
  usable prec emax -> ieee prec emax Hp He o -> exp_underflows exp_ T ->
  (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (rounded_softmax o exp_ T) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply unconditional_integers_ieee; eauto using softmax_ok. Qed.
Theorem theorem_2_ieee_softmax : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) o exp_ T V f x m,
  usable prec emax -> ieee prec emax Hp He o -> exp_underflows exp_ T ->
  (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (rounded_softmax o exp_ T) m (conditional_integer_prompt f) [x] 1
  = [f x].
Proof. intros. eapply conditional_integers_ieee; eauto using softmax_ok. Qed.

(** binary32, inverse temperatures of at least 105, an [exp] that is correctly
    rounded at 0 and at [-T]. *)
Theorem theorem_1_binary32_softmax : forall o exp_ T V N y m,
  binary32 o -> exp_rounded32 exp_ T -> (forall h, is_finite (T h) = true /\ 105 <= B2R (T h)) ->
  (V <= 4097)%nat -> sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (rounded_softmax o exp_ T) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof.
  intros. eapply theorem_1_ieee_softmax; eauto using usable32, exp_rounded32_underflows.
  eapply (square_bound V 4096); [assumption|vm_compute; discriminate].
Qed.

(** ** Matrix units (tensor cores)

    [block_of_terms u c ts]: what the unit [u] makes of the terms [c :: ts] of one block;
    [block] is the same from factors, [dot] a chain of blocks.  [last_place]: the exponent of
    the last place that the block keeps, [E - fraction_bits u].  [truncate place], [to_binary32]:
    rounding toward zero to a multiple of [2^place], and to binary32. *)

(** What a block computes: one truncation per term, an exact sum, one truncation. *)
Theorem matrix_unit_block : forall u c ts,
  value (block_of_terms u c ts)
  = to_binary32 (total (fun x => truncate (last_place u c ts) (value x)) (c :: ts)).
Proof. exact block_meaning. Qed.

(** Its error: the number of terms that are cut times the last place, and one truncation of
    the sum: below [2^-23] of it, or [2^-149] in the subnormal range. *)
Theorem matrix_unit_block_error : forall u c ts, let place := last_place u c ts in
  Rabs (value (block_of_terms u c ts) - exact_sum (c :: ts))
  <= INR (inexact_terms place (c :: ts)) * bpow radix2 place
     + Rmax (bpow radix2 (-23) * Rabs (value (truncated_sum place (c :: ts)))) (bpow radix2 (-149)).
Proof. exact block_error. Qed.

(** A chain of blocks: its error is at most the sum of its blocks' bounds. *)
Theorem matrix_unit_chain_error : forall u least blocks c,
  Rabs (value (chain u least blocks c) - (value c + exact_sum (map (product least) (concat blocks))))
  <= chain_bound u least blocks c.
Proof. exact chain_error. Qed.

(** In a block's bound, [2^E] is at most the largest term (where no number is subnormal), or a zero sets [E];
    and the truncated sum is at most the sum of the terms' magnitudes. *)
Theorem matrix_unit_block_largest_term : forall u least abs c,
  Forall (fun ab => normal least (fst ab) /\ normal least (snd ab)) abs -> normal least_order c ->
  let ts := map (product least) (filled u abs) in
  exists t, In t (accumulator c :: ts) /\
    (bpow radix2 (largest_order u (accumulator c) ts) <= Rabs (value (fst t)) \/
     value (fst t) = 0 /\ largest_order u (accumulator c) ts = zero_order u).
Proof. exact largest_term. Qed.
Theorem matrix_unit_block_magnitude : forall place ts,
  Rabs (value (truncated_sum place ts)) <= total (fun x => Rabs (value x)) ts.
Proof. intros. rewrite truncated_sum_correct. apply truncated_sum_abs. Qed.

(** A block is exact if every term is a multiple of the last place and the sum has 24 bits. *)
Theorem matrix_unit_block_exact : forall u c ts,
  (forall t, In t (c :: ts) -> multiple (last_place u c ts) (value (fst t))) ->
  binary32_number (exact_sum (c :: ts)) -> value (block_of_terms u c ts) = exact_sum (c :: ts).
Proof. exact block_exact. Qed.

(** [unit_any_order ... u storing n terms s]: [s] is the sum of [n] terms (numbers and products of
    numbers), each in any block of [u], blocks in any chain or tree.  It is exact if the terms are
    multiples of [2^g] and their magnitudes sum to less than [2^(g+24)]: on any unit with 23
    fraction bits or more.  ([-22 <= g]: where factors are subnormal, a small product can count
    with the exponent 1.)  With [storing], partial sums may be rounded to the stored format. *)
Theorem matrix_unit_sum_exact : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax)
    pin ein (Hpi : Prec_gt_0 pin) (Hei : Prec_lt_emax pin ein) input u storing n terms val s g,
  suitable prec emax pin ein input u -> (-22 <= g <= 103)%Z ->
  unit_any_order prec emax Hp He pin ein input u storing n terms s ->
  (forall k, (k < n)%nat -> read_as prec emax pin ein input (terms k) (val k) /\ multiple g (val k)) ->
  list_sum (fun k => Rabs (val k)) (seq 0 n) < bpow radix2 (g + 24) ->
  (storing = true -> forall l, NoDup l -> incl l (seq 0 n) -> representable prec emax (list_sum val l)) ->
  stands_for 24 128 s (list_sum val (seq 0 n)).
Proof. intros. now apply (sum_exact prec emax Hp He pin ein Hpi Hei input u) with (storing := storing) (terms := terms) (g := g). Qed.

(** [on_matrix_unit ... u o]: [o] computes sums of products on [u] as above, everything else in
    binary32, and rounds results once to the stored format [prec], [emax]; the unit's factors
    have the format [pin], [ein].  Such arithmetics exist. *)
Theorem matrix_unit_exists : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) pin ein input u,
  (3 <= emax)%Z -> (0 < products u)%nat -> exists o, on_matrix_unit prec emax Hp He pin ein input u o.
Proof. intros. eexists. now apply chained_arithmetic_on_unit. Qed.

(** Any suitable formats and unit, any [N], if [fits]: [(V-1)^2 <= 2^prec] for what is stored,
    [2V-1 <= 2^pin] for factors, [(V-1)^2 <= 2^22] for sums. *)
Theorem theorem_1_matrix_unit : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax)
    pin ein (Hpi : Prec_gt_0 pin) (Hei : Prec_lt_emax pin ein) input u o V N y m,
  suitable prec emax pin ein input u -> on_matrix_unit prec emax Hp He pin ein input u o -> fits prec pin V ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply unconditional_unit; eauto. eapply unit_hardmax; eauto. Qed.
Theorem theorem_2_matrix_unit : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax)
    pin ein (Hpi : Prec_gt_0 pin) (Hei : Prec_lt_emax pin ein) input u o V f x m,
  suitable prec emax pin ein input u -> on_matrix_unit prec emax Hp He pin ein input u o -> fits prec pin V ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros. eapply conditional_unit; eauto. eapply unit_hardmax; eauto. Qed.
Theorem longer_responses_matrix_unit : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax)
    pin ein (Hpi : Prec_gt_0 pin) (Hei : Prec_lt_emax pin ein) input u o V K f x m,
  suitable prec emax pin ein input u -> on_matrix_unit prec emax Hp He pin ein input u o -> fits prec pin V ->
  responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate o (longer_responses_integers V K) (hardmax o) m (longer_responses_integer_prompt K f) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof. intros. eapply responses_unit; eauto. eapply unit_hardmax; eauto. Qed.

(** bf16, stored with 8 bits, the logits too.  [blackwell] and Ada's [ampere] are the same units. *)
Theorem theorem_1_matrix_unit_bf16 : forall u o V N y m,
  In u [ampere; hopper; blackwell] -> on_unit_bf16 u o -> (V <= 17)%nat ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof.
  intros. apply (theorem_1_matrix_unit 8 128 eq_refl eq_refl 8 128 eq_refl eq_refl (fun x => x) u); auto using suitable_bf16.
  apply (fits_bound 8 8 V 16); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.
Theorem theorem_2_matrix_unit_bf16 : forall u o V f x m,
  In u [ampere; hopper; blackwell] -> on_unit_bf16 u o -> (V <= 17)%nat ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof.
  intros. apply (theorem_2_matrix_unit 8 128 eq_refl eq_refl 8 128 eq_refl eq_refl (fun x => x) u); auto using suitable_bf16.
  apply (fits_bound 8 8 V 16); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.

(** fp16, stored with 11 bits. *)
Theorem theorem_1_matrix_unit_fp16 : forall u o V N y m,
  In u [volta_fp16; turing_fp16; ampere; hopper; blackwell] -> on_unit_fp16 u o -> (V <= 46)%nat ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof.
  intros. apply (theorem_1_matrix_unit 11 16 eq_refl eq_refl 11 16 eq_refl eq_refl (fun x => x) u); auto using suitable_fp16.
  apply (fits_bound 11 11 V 45); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.
Theorem theorem_2_matrix_unit_fp16 : forall u o V f x m,
  In u [volta_fp16; turing_fp16; ampere; hopper; blackwell] -> on_unit_fp16 u o -> (V <= 46)%nat ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof.
  intros. apply (theorem_2_matrix_unit 11 16 eq_refl eq_refl 11 16 eq_refl eq_refl (fun x => x) u); auto using suitable_fp16.
  apply (fits_bound 11 11 V 45); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.

(** tf32: binary32 numbers are stored, and [input], rounding or truncation to the 11 bits of
    factors, leaves alone what has 11 bits ([convert_reads], [cut_reads]). *)
Theorem theorem_1_matrix_unit_tf32 : forall input u o V N y m,
  In u [ampere_tf32; hopper_tf32; blackwell_tf32] -> reads 24 128 11 128 input ->
  on_unit_tf32 input u o -> (V <= 1024)%nat ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof.
  intros. apply (theorem_1_matrix_unit 24 128 eq_refl eq_refl 11 128 eq_refl eq_refl input u); auto using suitable_tf32.
  apply (fits_bound 24 11 V 1023); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.
Theorem theorem_2_matrix_unit_tf32 : forall input u o V f x m,
  In u [ampere_tf32; hopper_tf32; blackwell_tf32] -> reads 24 128 11 128 input ->
  on_unit_tf32 input u o -> (V <= 1024)%nat ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof.
  intros. apply (theorem_2_matrix_unit 24 128 eq_refl eq_refl 11 128 eq_refl eq_refl input u); auto using suitable_tf32.
  apply (fits_bound 24 11 V 1023); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.

(** bf16 factors of stored binary32 numbers: [input], rounding or truncation to 8 bits, leaves alone
    what has 8 bits. *)
Theorem theorem_1_matrix_unit_bf16_factors : forall input u o V N y m,
  In u [ampere; hopper; blackwell] -> reads 24 128 8 128 input ->
  on_unit_bf16_factors input u o -> (V <= 128)%nat ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (hardmax o) m (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof.
  intros. apply (theorem_1_matrix_unit 24 128 eq_refl eq_refl 8 128 eq_refl eq_refl input u); auto using suitable_bf16_factors.
  apply (fits_bound 24 8 V 127); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.
Theorem theorem_2_matrix_unit_bf16_factors : forall input u o V f x m,
  In u [ampere; hopper; blackwell] -> reads 24 128 8 128 input ->
  on_unit_bf16_factors input u o -> (V <= 128)%nat ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (hardmax o) m (conditional_integer_prompt f) [x] 1 = [f x].
Proof.
  intros. apply (theorem_2_matrix_unit 24 128 eq_refl eq_refl 8 128 eq_refl eq_refl input u); auto using suitable_bf16_factors.
  apply (fits_bound 24 8 V 127); [assumption|vm_compute; discriminate|vm_compute; discriminate].
Qed.

(** Softmax in binary32, its weights rounded to the stored format, under the hypothesis on [exp]
    of [theorem_1_ieee_softmax]. *)
Theorem theorem_1_matrix_unit_softmax : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax)
    pin ein (Hpi : Prec_gt_0 pin) (Hei : Prec_lt_emax pin ein) input u o o32 exp_ T V N y m,
  suitable prec emax pin ein input u -> on_matrix_unit prec emax Hp He pin ein input u o -> fits prec pin V ->
  binary32 o32 -> exp_underflows exp_ T ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) (unit_softmax prec emax Hp He o32 exp_ T) m
    (unconditional_integer_prompt y) [] N
  = map y (seq 0 N).
Proof. intros. eapply unconditional_unit; eauto. eapply unit_softmax_ok; eauto. Qed.
Theorem theorem_2_matrix_unit_softmax : forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax)
    pin ein (Hpi : Prec_gt_0 pin) (Hei : Prec_lt_emax pin ein) input u o o32 exp_ T V f x m,
  suitable prec emax pin ein input u -> on_matrix_unit prec emax Hp He pin ein input u o -> fits prec pin V ->
  binary32 o32 -> exp_underflows exp_ T ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) (unit_softmax prec emax Hp He o32 exp_ T) m
    (conditional_integer_prompt f) [x] 1
  = [f x].
Proof. intros. eapply conditional_unit; eauto. eapply unit_softmax_ok; eauto. Qed.

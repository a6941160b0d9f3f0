(** * The constructions in IEEE floating-point arithmetic *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions SumLemmas RealForward
  UnconditionalGeneration LongerResponses Encodings Exact ExactGeneration
  Floats FloatEncodings FloatSoftmax.
Import ListNotations.
Open Scope R_scope.

(** The formats in use. *)
Definition binary16 : arithmetic (binary_float 11 16) -> Prop := ieee 11 16 eq_refl eq_refl.
Definition bfloat16 : arithmetic (binary_float 8 128) -> Prop := ieee 8 128 eq_refl eq_refl.
Definition binary32 : arithmetic (binary_float 24 128) -> Prop := ieee 24 128 eq_refl eq_refl.
Definition binary64 : arithmetic (binary_float 53 1024) -> Prop := ieee 53 1024 eq_refl eq_refl.

(** The hypothesis on [exp]: 1 at 0, and 0 at minus every head's inverse temperature. *)
Definition exp_underflows {prec emax} (exp_ : binary_float prec emax -> binary_float prec emax)
    (T : head -> binary_float prec emax) : Prop :=
  (forall h, is_finite (T h) = true /\ 0 < B2R (T h)) /\
  (forall x, is_finite x = true -> B2R x = 0 -> is_finite (exp_ x) = true /\ B2R (exp_ x) = 1) /\
  (forall h x, is_finite x = true -> B2R x = - B2R (T h) -> is_finite (exp_ x) = true /\ B2R (exp_ x) = 0).

(** An [exp] that is correctly rounded, at least at 0 and at [-T]. *)
Definition exp_rounded32 (exp_ : binary_float 24 128 -> binary_float 24 128)
    (T : head -> binary_float 24 128) : Prop :=
  forall x, is_finite x = true -> (B2R x = 0 \/ exists h, B2R x = - B2R (T h)) ->
  is_finite (exp_ x) = true /\
  B2R (exp_ x) = round radix2 (SpecFloat.fexp 24 128) ZnearestE (exp (B2R x)).
Lemma exp_rounded32_underflows exp_ T : exp_rounded32 exp_ T ->
  (forall h, is_finite (T h) = true /\ 105 <= B2R (T h)) -> exp_underflows exp_ T.
Proof.
  intros HE HT. split; [|split].
  - intros h. destruct (HT h). split; auto; lra.
  - intros x Fx Bx. destruct (HE x Fx (or_introl Bx)) as [E1 E2]. split; auto.
    rewrite E2, Bx, exp_0.
    assert (F1 : representable 24 128 1) by (apply representable_Z; reflexivity || (intros H; discriminate)).
    apply (proj1 (round_representable 24 128 1 F1)).
  - intros h x Fx Bx. destruct (HE x Fx (or_intror (ex_intro _ h Bx))) as [E1 E2]. split; auto.
    rewrite E2, Bx. apply exp_underflow. apply HT.
Qed.

Section Format.
Variables prec emax : Z.
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Hypothesis Hfmt : usable prec emax.
Notation float := (binary_float prec emax).
Variable o : arithmetic float.
Hypothesis Ho : ieee prec emax Hprec Hmax o.
Let X := format_exact prec emax Hprec Hmax Hfmt o Ho.

Lemma hardmax_ok : one_hot_normaliser (stands_for prec emax) (hardmax o).
Proof. exact (hardmax_one_hot o _ _ _ X). Qed.
Lemma softmax_ok exp_ T : exp_underflows exp_ T ->
  one_hot_normaliser (stands_for prec emax) (rounded_softmax o exp_ T).
Proof.
  intros (HT & E0 & ET). apply (rounded_softmax_one_hot prec emax Hprec Hmax o Ho X); auto.
  - intros x [F B]. now apply E0.
  - intros h x [F B]. now apply (ET h).
Qed.

Section Integers.
Variable V : nat.
Hypothesis HV : (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z.
Let E := integer_encoding prec emax Hprec Hmax Hfmt V HV.
Lemma unconditional_integers_ieee nz N y m : one_hot_normaliser (stands_for prec emax) nz ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) nz m (unconditional_integer_prompt y) [] N = map y (seq 0 N).
Proof. intros Hnz Hy Hm. now apply (unconditional_exact o _ _ _ X V _ _ _ integer E nz Hnz). Qed.
Lemma conditional_integers_ieee nz f x m : one_hot_normaliser (stands_for prec emax) nz ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) nz m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros Hnz Hf Hx Hm. now apply (conditional_exact o _ _ _ X V _ _ _ integer E nz Hnz). Qed.
Lemma responses_integers_ieee nz K f x m : one_hot_normaliser (stands_for prec emax) nz ->
  responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate o (longer_responses_integers V K) nz m (longer_responses_integer_prompt K f) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof. intros Hnz Hf Hx Hm. now apply (longer_responses_exact o _ _ _ X V _ _ _ integer E nz Hnz). Qed.
End Integers.

Section PowersOfTwo.
Variables (V : nat) (k : Z).
Hypothesis Hk : (1 <= k)%Z.
Hypothesis Hk2 : (2 * k <= prec)%Z.
Hypothesis Hk3 : (2 * k <= emax + prec - 3)%Z.
Hypothesis HV : Z.of_nat V = (2 ^ k)%Z.
Let E := power_of_two_encoding prec emax Hprec Hmax Hfmt k V Hk Hk2 Hk3 HV.
Lemma unconditional_powers_ieee nz N y m : one_hot_normaliser (stands_for prec emax) nz ->
  sequence V N y -> admissible m ->
  generate o (unconditional_generation V N zero_matrix) nz m (unconditional_prompt V y) [] N
  = map y (seq 0 N).
Proof.
  intros Hnz Hy Hm. rewrite unconditional_is_paper.
  now apply (unconditional_exact o _ _ _ X V _ _ _ (fraction V) E nz Hnz).
Qed.
Lemma conditional_powers_ieee nz f x m : one_hot_normaliser (stands_for prec emax) nz ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_generation V) nz m (conditional_prompt V f) [x] 1 = [f x].
Proof.
  intros Hnz Hf Hx Hm. rewrite conditional_is_paper.
  now apply (conditional_exact o _ _ _ X V _ _ _ (fraction V) E nz Hnz).
Qed.
Lemma responses_powers_ieee nz K f x m : one_hot_normaliser (stands_for prec emax) nz ->
  responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate o (longer_responses V K) nz m (longer_responses_prompt V K f) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof.
  intros Hnz Hf Hx Hm. rewrite longer_responses_is_paper.
  now apply (longer_responses_exact o _ _ _ X V _ _ _ (fraction V) E nz Hnz).
Qed.
End PowersOfTwo.
End Format.

Lemma usable16 : usable 11 16. Proof. split; reflexivity || (intros H; discriminate). Qed.
Lemma usable_bf16 : usable 8 128. Proof. split; reflexivity || (intros H; discriminate). Qed.
Lemma usable32 : usable 24 128. Proof. split; reflexivity || (intros H; discriminate). Qed.
Lemma usable64 : usable 53 1024. Proof. split; reflexivity || (intros H; discriminate). Qed.
(** The largest vocabulary whose squares fit. *)
Lemma square_bound V B p : (V <= S B)%nat -> (Z.of_nat B * Z.of_nat B <= p)%Z ->
  (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= p)%Z.
Proof. intros H1 H2. eapply Z.le_trans; [|exact H2]. nia. Qed.

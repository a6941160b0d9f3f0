(** * The constructions on matrix units, tokens encoded as integers

    Every number that is computed is an integer of at most [2^23]: a multiple of [2^0]. *)

From Coq Require Import List Arith Bool ZArith QArith Qreals Reals Lra Lia Permutation.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Model Constructions SumLemmas RealForward
  UnconditionalGeneration LongerResponses Encodings Exact ExactGeneration
  Floats FloatEncodings FloatSoftmax FloatGeneration MatrixUnits MatrixUnitSums.
Import ListNotations.
Open Scope R_scope.

Section Unit.
Variables prec emax : Z.                               (* of stored numbers *)
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Variables pin ein : Z.                                 (* of factors *)
Context (Hpin : Prec_gt_0 pin) (Hein : Prec_lt_emax pin ein).
Notation float := (binary_float prec emax).
Notation rep := (stands_for prec emax).
Variable input : float -> binary_float pin ein.
Variable u : matrix_unit.
Notation widen := (widen prec emax).
Notation narrow := (narrow prec emax Hprec Hmax).

(** Around the unit everything is computed in binary32 and rounded once to the stored format. *)
Record on_matrix_unit (o : arithmetic float) : Prop := {
  unit_of_Q : forall q, representable prec emax (Q2R q) -> rep (of_Q o q) (Q2R q);
  unit_div : forall x y, div o x y = narrow (Bdiv mode_NE (widen x) (widen y));
  unit_relu : forall x, relu o x =
    if Bleb x (float_zero prec emax Hprec Hmax) then float_zero prec emax Hprec Hmax else x;
  unit_leb : leb o = Bleb;
  unit_sum_of : forall n f, exists s, sum o n f = narrow s /\
    unit_any_order prec emax Hprec Hmax pin ein input u true n (fun k => Value _ _ (f k)) s;
  unit_affine : forall n x y b, exists s, affine o n x y b = narrow s /\
    unit_any_order prec emax Hprec Hmax pin ein input u true (S n)
      (fun k => match k with O => Value _ _ b | S k => Product _ _ (x k) (y k) end) s }.

Definition small (r : R) : Prop := exists z, r = IZR z /\ (Z.abs z <= 2 ^ 23)%Z.
Definition result (r : R) : Prop := representable prec emax r /\ small r.
Definition readable (r : R) : Prop := result r /\ representable pin ein r.

(** The unit's view of a stored number: the same number where the format of factors has it. *)
Definition reads : Prop := forall x r, rep x r -> representable pin ein r -> stands_for pin ein (input x) r.
Hypothesis Hin : reads.
Hypothesis Hu : good_unit u.
Hypothesis He : (3 <= ein)%Z.
Hypothesis Hs : stored_below_32 prec emax.
Hypothesis He1 : (3 <= emax)%Z.

Lemma representable_int p e (Hp : Prec_gt_0 p) (Hm : Prec_lt_emax p e) m :
  (2 < e)%Z -> (Z.abs m <= 1)%Z -> representable p e (IZR m).
Proof.
  intros H1 H2. apply representable_Z; auto. unfold Prec_gt_0 in Hp.
  apply Z.le_trans with (1 := H2). apply (Z.pow_le_mono_r 2 0); lia.
Qed.
Lemma readable_0 : readable 0.
Proof.
  split; [split|]; [apply (representable_int prec emax Hprec Hmax 0); lia| |apply (representable_int pin ein Hpin Hein 0); lia].
  exists 0%Z. split; [reflexivity|]. discriminate.
Qed.
Lemma readable_1 : readable 1.
Proof.
  split; [split|]; [apply (representable_int prec emax Hprec Hmax 1); lia| |apply (representable_int pin ein Hpin Hein 1); lia].
  exists 1%Z. split; [reflexivity|]. discriminate.
Qed.
Lemma small_on_grid r : small r -> multiple 0 r /\ Rabs r < bpow radix2 (0 + 24).
Proof.
  intros (z & -> & B). split.
  - apply generic_format_FIX. exists (Float radix2 z 0); [|reflexivity]. unfold F2R. cbn. ring.
  - rewrite <- abs_IZR. change (bpow radix2 (0 + 24)) with (IZR (2 ^ 24)). apply IZR_lt.
    eapply Z.le_lt_trans; [exact B|]. reflexivity.
Qed.
Lemma narrow_exact s r : rep32 s r -> representable prec emax r -> rep (narrow s) r.
Proof. intros H F. now apply convert_exact with (p1 := 24%Z) (e1 := 128%Z). Qed.

Lemma unit_two terms val n s p q : p <> q -> (p < n)%nat -> (q < n)%nat \/ val q = 0 ->
  unit_any_order prec emax Hprec Hmax pin ein input u true n terms s ->
  (forall k, (k < n)%nat -> read_as prec emax pin ein input (terms k) (val k)) ->
  (forall k, k <> p -> k <> q -> val k = 0) ->
  result (val p) -> result (val q) -> result (val p + val q) ->
  rep (narrow s) (val p + val q).
Proof.
  intros Hpq Hp Hq (l & Pl & Al) HT Hz Fp Fq Fpq.
  assert (ND : NoDup l) by (apply (Permutation_NoDup (Permutation_sym Pl)), seq_NoDup).
  assert (Il : forall k, In k l <-> (k < n)%nat).
  { intros k. split; intros H.
    - apply (Permutation_in k Pl) in H. apply in_seq in H. lia.
    - apply (Permutation_in k (Permutation_sym Pl)), in_seq. lia. }
  assert (FL : forall l', NoDup l' -> result (list_sum val l')).
  { intros l' N'. rewrite (list_sum_support val p q) by auto. unfold has. pose proof (proj1 readable_0).
    destruct (in_dec _ p l'), (in_dec _ q l'); rewrite ?Rmult_1_l, ?Rmult_0_l, ?Rplus_0_l, ?Rplus_0_r; auto. }
  assert (E : list_sum val l = val p + val q).
  { rewrite (list_sum_support val p q) by auto. unfold has.
    destruct (in_dec _ p l) as [_|N1]; [|exfalso; apply N1, Il, Hp].
    destruct (in_dec _ q l) as [_|N2]; [lra|]. destruct Hq as [Hq| ->]; [|lra].
    exfalso. apply N2, Il, Hq. }
  rewrite <- E. apply narrow_exact; [|apply FL, ND].
  apply (unit_sum_exact prec emax Hprec Hmax pin ein input u Hu) with (terms := terms) (storing := true) (g := 0%Z);
    auto; try lia.
  - assert (O : rep (float_of_Z prec emax Hprec Hmax 1) 1) by (apply of_Z_exact, readable_1).
    split; auto. apply Hin; auto. apply readable_1.
  - intros k Hk. apply HT, Il, Hk.
  - intros l' N' _. apply small_on_grid, FL, N'.
  - intros _ l' N' _. apply FL, N'.
Qed.

Theorem matrix_unit_exact o : on_matrix_unit o -> exact_arithmetic o rep readable result.
Proof.
  intros H. constructor.
  - apply readable_0.
  - apply readable_1.
  - intros q [Fq _]. now apply (unit_of_Q o H).
  - intros n f a z Ha Hz Fz Hk. destruct (unit_sum_of o H n f) as (s & -> & Us).
    set (val := fun k => if (k =? a)%nat then z else 0).
    assert (Va : val a = z) by (unfold val; now rewrite Nat.eqb_refl).
    assert (V0 : forall k, k <> a -> val k = 0).
    { intros k Hne. unfold val. now rewrite (proj2 (Nat.eqb_neq k a) Hne). }
    assert (Vq : val (S a) = 0) by (apply V0; lia).
    replace z with (val a + val (S a)) by (rewrite Va, Vq; lra).
    apply unit_two with (terms := fun k => Value _ _ (f k)) (n := n); auto.
    + intros k Hlt. cbn. destruct (Nat.eq_dec k a) as [->|Hne]; [now rewrite Va|]. rewrite V0 by auto. auto.
    + rewrite Va. apply Fz.
    + rewrite Vq. apply readable_0.
    + rewrite Va, Vq, Rplus_0_r. apply Fz.
  - intros f z0 z1 H0 H1 Z0 Z1 Z01. destruct (unit_sum_of o H 2 f) as (s & -> & Us).
    set (val := fun k => match k with O => z0 | S O => z1 | _ => 0 end).
    change (rep (narrow s) (val 0%nat + val 1%nat)).
    apply unit_two with (terms := fun k => Value _ _ (f k)) (n := 2%nat); auto; try apply Z0; try apply Z1; try apply Z01.
    + intros [|[|k]] Hk; cbn; auto. lia.
    + intros [|[|k]] N0 N1; auto; lia.
  - intros n x y b v w c a Ha Hx Hy Fvw Hb Hz Fm Fc Fs. destruct (unit_affine o H n x y b) as (s & -> & Us).
    set (val := fun k => match k with O => c | S k => if (k =? a)%nat then v a * w a else 0 end).
    assert (Va : val (S a) = v a * w a) by (unfold val; now rewrite Nat.eqb_refl).
    change (v a * w a + c) with (v a * w a + val 0%nat). rewrite <- Va.
    apply unit_two with (n := S n)
      (terms := fun k => match k with O => Value _ _ b | S k => Product _ _ (x k) (y k) end); auto; try lia.
    + intros [|k] Hk; cbn; auto. destruct (Fvw k ltac:(lia)) as [[_ Fv] [_ Fw]].
      specialize (Hx k ltac:(lia)). specialize (Hy k ltac:(lia)). exists (v k), (w k).
      split; [|split; [exact Hx|split; [exact Hy|split; apply Hin; auto]]].
      destruct (Nat.eqb_spec k a) as [->|Hne]; auto. apply Hz; auto. lia.
    + intros [|k] N1 N2; [lia|]. cbn. now rewrite (proj2 (Nat.eqb_neq k a)) by lia.
    + now rewrite Va.
    + rewrite Va. exact Fs.
  - intros x y a Hx Hy [Fa Sa]. rewrite (unit_div o H). apply narrow_exact; auto.
    apply (widen_exact prec emax Hprec Hs) in Hx, Hy. destruct Hx as [X1 X2], Hy as [Y1 Y2].
    assert (F32 : representable32 a).
    { apply (on_grid32 0); [lia| |]; now apply small_on_grid. }
    assert (NZ : B2R (widen y) <> 0) by (rewrite Y2; lra).
    pose proof (Bdiv_correct 24 128 prec_24 below_128 mode_NE (widen x) (widen y) NZ) as D.
    rewrite X2, Y2 in D. replace (a / 1) with a in D by field.
    destruct (round_representable 24 128 _ F32) as [E B]. rewrite B, E in D.
    destruct D as (D1 & D2 & _). split; [|exact D1]. now rewrite D2.
  - intros x a [X1 X2]. destruct (of_Z_exact prec emax Hprec Hmax 0 (proj1 (proj1 readable_0))) as [Z1 Z2].
    fold (float_zero prec emax Hprec Hmax) in Z1, Z2.
    rewrite (unit_relu o H), Bleb_correct by auto. rewrite X2, Z2.
    destruct (Rle_bool_spec a 0); [rewrite Rmax_left by lra|rewrite Rmax_right by lra]; now split.
  - intros x y a b [X1 X2] [Y1 Y2]. rewrite (unit_leb o H), Bleb_correct by auto. rewrite X2, Y2.
    destruct (Rle_bool_spec a b); split; intros; auto; try lra; try discriminate.
  - intros r [Fr _]. exact Fr.
Qed.

(** ** Integers *)
Lemma small_int m : (Z.abs m <= 2 ^ 23)%Z -> small (IZR m).
Proof. intros H. now exists m. Qed.
(** Stored: [(V-1)^2].  A factor: [2V-1] at most.  In a sum: [2(V-1)^2]. *)
Definition fits (V : nat) : Prop :=
  (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ Z.min prec 22)%Z /\
  (2 * Z.of_nat V - 1 <= 2 ^ pin)%Z.
Hypothesis Hfmt : usable prec emax.
Hypothesis Hfactor : (4 <= pin /\ pin + 2 < ein)%Z.

Lemma integers_on_unit V : fits V -> encoding readable result V (integer V) integer_a integer_b integer.
Proof.
  intros [HV HV2]. destruct Hfmt as [P4 _]. destruct Hfactor as [Q4 _].
  assert (P : (16 <= 2 ^ prec)%Z) by (change 16%Z with (2 ^ 4)%Z; apply Z.pow_le_mono_r; lia).
  assert (Q : (16 <= 2 ^ pin)%Z) by (change 16%Z with (2 ^ 4)%Z; apply Z.pow_le_mono_r; lia).
  assert (HVp : (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ prec)%Z).
  { eapply Z.le_trans; [exact HV|]. apply Z.pow_le_mono_r; lia. }
  assert (HV22 : (Z.of_nat (V - 1) * Z.of_nat (V - 1) <= 2 ^ 22)%Z).
  { eapply Z.le_trans; [exact HV|]. apply Z.pow_le_mono_r; lia. }
  change (2 ^ 22)%Z with 4194304%Z in HV22.
  assert (VB : (2 * Z.of_nat V - 1 <= 2 ^ prec)%Z) by (set (M := (2 ^ prec)%Z) in *; nia).
  assert (VS : (Z.of_nat V <= 2049)%Z) by nia.
  pose proof (int prec emax Hprec Hmax Hfmt) as I1. pose proof (int pin ein Hpin Hein Hfactor) as I2.
  pose proof (even prec emax Hprec Hmax Hfmt) as E1. pose proof (even pin ein Hpin Hein Hfactor) as E2.
  assert (RI : forall m, (Z.abs m <= Z.max 0 (2 * Z.of_nat V - 1))%Z -> readable (IZR m)).
  { intros m Hm. split; [split|]; [apply I1; lia| |apply I2; lia]. apply small_int.
    change (2 ^ 23)%Z with 8388608%Z. lia. }
  set (M := (2 ^ prec)%Z) in *. set (M2 := (2 ^ pin)%Z) in *.
  unfold integer, integer_a, integer_b.
  constructor; intros; rewrite ?Q2R_inject, <- ?opp_IZR, <- ?plus_IZR, <- ?minus_IZR.
  - split; apply RI; lia.
  - split.
    + split; [split|]; [apply E1; fold M; lia| |apply E2; fold M2; lia].
      apply small_int. change (2 ^ 23)%Z with 8388608%Z. lia.
    + split; [apply I1; fold M; nia|]. apply small_int. change (2 ^ 23)%Z with 8388608%Z. nia.
  - split; apply IZR_le; lia.
  - split; [|split]; apply RI; lia.
  - rewrite <- mult_IZR, <- plus_IZR. split.
    + split.
      * replace (2 * Z.of_nat v * Z.of_nat k)%Z with (2 * (Z.of_nat v * Z.of_nat k))%Z by ring.
        apply E1. fold M. nia.
      * apply small_int. change (2 ^ 23)%Z with 8388608%Z. nia.
    + split; [apply I1; fold M; nia|]. apply small_int. change (2 ^ 23)%Z with 8388608%Z. nia.
  - split; auto. intros v Hv Hne. rewrite !Q2R_inject, <- !mult_IZR, <- !plus_IZR.
    apply IZR_lt. nia.
Qed.

(** ** Softmax: in binary32, the weights rounded to the stored format *)
Definition unit_softmax (o32 : arithmetic float32) (exp_ : float32 -> float32) (T : head -> float32)
  : normaliser float :=
  fun h n vis s j => narrow (rounded_softmax o32 exp_ T h n vis (fun k => widen (s k)) j).
Lemma unit_softmax_one_hot o32 exp_ T : ieee 24 128 prec_24 below_128 o32 -> exp_underflows exp_ T ->
  one_hot_normaliser rep (unit_softmax o32 exp_ T).
Proof.
  intros Ho HE h n vis s a Ha Va Hk j Hj. unfold unit_softmax. apply narrow_exact.
  - apply (softmax_ok 24 128 prec_24 below_128 usable32 o32 Ho exp_ T HE); auto.
    intros k Hlt. apply (widen_exact prec emax Hprec Hs). auto.
  - unfold kron. destruct (j =? a)%nat; [apply readable_1|apply readable_0].
Qed.

Section Run.
Variable o : arithmetic float.
Hypothesis Ho : on_matrix_unit o.
Let X := matrix_unit_exact o Ho.
Variable V : nat.
Hypothesis HV : fits V.
Let E := integers_on_unit V HV.
Lemma unit_hardmax_ok : one_hot_normaliser rep (hardmax o).
Proof. exact (hardmax_one_hot o _ _ _ X). Qed.
Lemma unconditional_integers_unit nz N y m : one_hot_normaliser rep nz ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) nz m (unconditional_integer_prompt y) [] N = map y (seq 0 N).
Proof. intros Hnz Hy Hm. now apply (unconditional_exact o _ _ _ X V _ _ _ integer E nz Hnz). Qed.
Lemma conditional_integers_unit nz f x m : one_hot_normaliser rep nz ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) nz m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. intros Hnz Hf Hx Hm. now apply (conditional_exact o _ _ _ X V _ _ _ integer E nz Hnz). Qed.
Lemma responses_integers_unit nz K f x m : one_hot_normaliser rep nz ->
  responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate o (longer_responses_integers V K) nz m (longer_responses_integer_prompt K f) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof. intros Hnz Hf Hx Hm. now apply (longer_responses_exact o _ _ _ X V _ _ _ integer E nz Hnz). Qed.
End Run.

(** ** There is such an arithmetic: a chain of blocks, K ascending, the bias added behind *)
Fixpoint sum32 (n : nat) (f : nat -> float) : float32 :=
  match n with O => float_zero 24 128 prec_24 below_128 | S k => Bplus mode_NE (sum32 k f) (widen (f k)) end.
Definition chained (x y : nat -> float) (blocks : list (list nat)) : float32 :=
  fold_left (fun c b => float_block pin ein u (map (fun k => (input (x k), input (y k))) b) c) blocks
    (float_zero 24 128 prec_24 below_128).
Definition chained_arithmetic : arithmetic float := {|
  of_Q := float_of_Q prec emax Hprec Hmax;
  add := fun x y => narrow (Bplus mode_NE (widen x) (widen y));
  mul := fun x y => narrow (Bmult mode_NE (widen x) (widen y));
  div := fun x y => narrow (Bdiv mode_NE (widen x) (widen y));
  relu := fun x => if Bleb x (float_zero prec emax Hprec Hmax) then float_zero prec emax Hprec Hmax else x;
  leb := Bleb;
  sum := fun n f => narrow (sum32 n f);
  affine := fun n x y b =>
    narrow (Bplus mode_NE (chained x y (blocks_of n (products u) (seq 0 n))) (widen b)) |}.

Lemma blocks_of_all {A} size : (0 < size)%nat -> forall fuel (xs : list A), (length xs <= fuel)%nat ->
  concat (blocks_of fuel size xs) = xs /\ Forall (fun b => (length b <= size)%nat) (blocks_of fuel size xs).
Proof.
  intros Hsize fuel. induction fuel as [|fuel IH]; intros [|x xs] L; try (cbn in L; lia); try (split; [reflexivity|constructor]).
  cbn [blocks_of]. destruct (IH (skipn size (x :: xs))) as [E B].
  { rewrite skipn_length. cbn [length] in *. lia. }
  split; [cbn [concat]; now rewrite E, firstn_skipn|]. constructor; auto. rewrite firstn_length. lia.
Qed.
Lemma chained_arithmetic_on_unit : (0 < products u)%nat -> on_matrix_unit chained_arithmetic.
Proof.
  intros HL. constructor; try reflexivity.
  - intros q. apply float_of_Q_exact. unfold Prec_gt_0 in Hprec. lia.
  - intros n f. exists (sum32 n f). split; [reflexivity|]. exists (seq 0 n). split; [reflexivity|].
    induction n; [constructor|]. rewrite seq_S. apply unit_addition; [exact IHn|now constructor].
  - intros n x y b. eexists. split; [reflexivity|]. exists (map S (seq 0 n) ++ [0%nat]). split.
    + rewrite seq_shift. apply Permutation_sym, Permutation_cons_append.
    + apply unit_addition; [|now constructor]. unfold chained.
      destruct (blocks_of_all (products u) HL n (seq 0 n)) as [E B]; [now rewrite seq_length|].
      set (terms := fun k => match k with O => Value _ _ b | S k => Product _ _ (x k) (y k) end).
      rewrite <- E at 1. rewrite concat_map. change (concat (map (map S) (blocks_of n (products u) (seq 0 n))))
        with ([] ++ concat (map (map S) (blocks_of n (products u) (seq 0 n)))).
      generalize (unit_nothing prec emax Hprec Hmax pin ein input u true terms).
      generalize (@nil nat), (float_zero 24 128 prec_24 below_128). revert B.
      generalize (blocks_of n (products u) (seq 0 n)) as bs. clear E.
      induction bs as [|bl bs IH]; intros B l c Hc; [now rewrite app_nil_r|].
      inversion B as [|? ? B1 B2]; subst. cbn [map concat fold_left]. rewrite app_assoc. apply IH; auto.
      replace (map (fun k => (input (x k), input (y k))) bl)
        with (map (fun k => factors prec emax Hprec Hmax pin ein input (terms k)) (map S bl))
        by (rewrite map_map; reflexivity).
      apply unit_block; auto; [now rewrite map_length|].
      intros k Ik. apply in_map_iff in Ik. destruct Ik as (j & <- & _). exact I.
Qed.
End Unit.

(** ** Formats and units *)

(** What the theorems ask of formats and unit. *)
Record suitable (prec emax pin ein : Z) (input : binary_float prec emax -> binary_float pin ein)
    (u : matrix_unit) : Prop := {
  suitable_reads : reads prec emax pin ein input;
  suitable_unit : good_unit u;
  suitable_stored : stored_below_32 prec emax;
  suitable_format : usable prec emax;
  suitable_factors : usable pin ein }.

(** bf16 and fp16 are stored; tf32 factors are read from stored binary32 numbers. *)
Definition on_unit_bf16 (u : matrix_unit) : arithmetic (binary_float 8 128) -> Prop :=
  on_matrix_unit 8 128 eq_refl eq_refl 8 128 (fun x => x) u.
Definition on_unit_fp16 (u : matrix_unit) : arithmetic (binary_float 11 16) -> Prop :=
  on_matrix_unit 11 16 eq_refl eq_refl 11 16 (fun x => x) u.
Definition on_unit_tf32 (input : binary_float 24 128 -> binary_float 11 128) (u : matrix_unit)
  : arithmetic (binary_float 24 128) -> Prop :=
  on_matrix_unit 24 128 eq_refl eq_refl 11 128 input u.
(** bf16 factors are read from stored binary32 numbers, and results are not rounded to bf16. *)
Definition on_unit_bf16_factors (input : binary_float 24 128 -> binary_float 8 128) (u : matrix_unit)
  : arithmetic (binary_float 24 128) -> Prop :=
  on_matrix_unit 24 128 eq_refl eq_refl 8 128 input u.
(** How a factor is read: rounded to nearest, or cut as the instruction does. *)
Definition cut {p1 e1} p2 e2 (H1 : Prec_gt_0 p2) (H2 : Prec_lt_emax p2 e2) (x : binary_float p1 e1)
  : binary_float p2 e2 :=
  match x with
  | B754_finite s m e _ => binary_normalize p2 e2 H1 H2 mode_ZR (cond_Zopp s (Zpos m)) e s
  | _ => convert p2 e2 H1 H2 x
  end.
Lemma convert_reads prec emax pin ein H1 H2 : reads prec emax pin ein (convert pin ein H1 H2).
Proof. intros x r. apply convert_exact. Qed.
Lemma cut_reads prec emax pin ein (H1 : Prec_gt_0 pin) (H2 : Prec_lt_emax pin ein) :
  reads prec emax pin ein (cut pin ein H1 H2).
Proof.
  intros x r Hx F. destruct x as [s|s| |s m e B]; try exact (convert_reads _ _ _ _ H1 H2 _ _ Hx F).
  destruct Hx as [_ Hr]. cbn [B2R] in Hr. unfold cut. set (z := cond_Zopp s (Zpos m)) in *.
  pose proof (binary_normalize_correct pin ein H1 H2 mode_ZR z e s) as N. cbv zeta in N.
  destruct F as [G L]. rewrite Hr, round_generic, Rlt_bool_true in N by (auto with typeclass_instances).
  split; apply N.
Qed.
Lemma usable_tf32 : usable 11 128. Proof. split; reflexivity || (intros H; discriminate). Qed.

Ltac good := repeat split; reflexivity || (intro; discriminate).
Lemma good_units u : In u [volta_fp16; turing_fp16; ampere; ampere_tf32; hopper; hopper_tf32; blackwell; blackwell_tf32] ->
  good_unit u.
Proof. cbn. intros H. decompose [or] H; subst; try contradiction; good. Qed.
Ltac suits stored factors :=
  intros; constructor;
    [assumption || (now intros ? ? ? _)|apply good_units; cbn in *; tauto|good|apply stored|apply factors].
Lemma suitable_bf16 u : In u [ampere; hopper; blackwell] -> suitable 8 128 8 128 (fun x => x) u.
Proof. suits usable_bf16 usable_bf16. Qed.
Lemma suitable_fp16 u : In u [volta_fp16; turing_fp16; ampere; hopper; blackwell] ->
  suitable 11 16 11 16 (fun x => x) u.
Proof. suits usable16 usable16. Qed.
Lemma suitable_tf32 input u : In u [ampere_tf32; hopper_tf32; blackwell_tf32] ->
  reads 24 128 11 128 input -> suitable 24 128 11 128 input u.
Proof. suits usable32 usable_tf32. Qed.
Lemma suitable_bf16_factors input u : In u [ampere; hopper; blackwell] ->
  reads 24 128 8 128 input -> suitable 24 128 8 128 input u.
Proof. suits usable32 usable_bf16. Qed.
Lemma fits_bound prec pin V B : (V <= S B)%nat -> (Z.of_nat B * Z.of_nat B <= 2 ^ Z.min prec 22)%Z ->
  (2 * Z.of_nat B + 1 <= 2 ^ pin)%Z -> fits prec pin V.
Proof. intros H1 H2 H3. split; [eapply square_bound; eauto|lia]. Qed.

Section Suitable.
Variables prec emax : Z.
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Variables pin ein : Z.
Context (Hpin : Prec_gt_0 pin) (Hein : Prec_lt_emax pin ein).
Variable input : binary_float prec emax -> binary_float pin ein.
Variable u : matrix_unit.
Hypothesis HS : suitable prec emax pin ein input u.
Let He : (3 <= ein)%Z. Proof. destruct HS as [_ _ _ _ [H1 H2]]. lia. Qed.
Let He1 : (3 <= emax)%Z. Proof. destruct HS as [_ _ _ [H1 H2] _]. lia. Qed.
Lemma sum_exact storing n terms val s g : (-22 <= g <= 103)%Z ->
  unit_any_order prec emax Hprec Hmax pin ein input u storing n terms s ->
  (forall k, (k < n)%nat -> read_as prec emax pin ein input (terms k) (val k) /\ multiple g (val k)) ->
  list_sum (fun k => Rabs (val k)) (seq 0 n) < bpow radix2 (g + 24) ->
  (storing = true -> forall l, NoDup l -> incl l (seq 0 n) -> representable prec emax (list_sum val l)) ->
  stands_for 24 128 s (list_sum val (seq 0 n)).
Proof.
  pose proof He as E1. pose proof He1 as E2. destruct HS as [S1 S2 S3 S4 S5].
  intros. apply (unit_any_order_exact prec emax Hprec Hmax pin ein input u) with (storing := storing) (terms := terms) (g := g);
    auto; [lia|].
  assert (O : stands_for prec emax (float_of_Z prec emax Hprec Hmax 1) 1).
  { apply of_Z_exact, (representable_int prec emax Hprec Hmax 1); lia. }
  split; auto. apply S1; auto. apply (representable_int pin ein Hpin Hein 1); lia.
Qed.
Variable o : arithmetic (binary_float prec emax).
Hypothesis Ho : on_matrix_unit prec emax Hprec Hmax pin ein input u o.
Variable V : nat.
Hypothesis HV : fits prec pin V.

Lemma unit_hardmax : one_hot_normaliser (stands_for prec emax) (hardmax o).
Proof. destruct HS. eapply unit_hardmax_ok; eauto. Qed.
Lemma unit_softmax_ok o32 exp_ T : binary32 o32 -> exp_underflows exp_ T ->
  one_hot_normaliser (stands_for prec emax) (unit_softmax prec emax Hprec Hmax o32 exp_ T).
Proof. destruct HS. intros. apply (unit_softmax_one_hot prec emax Hprec Hmax pin ein Hpin Hein); assumption. Qed.
Lemma unconditional_unit nz N y m : one_hot_normaliser (stands_for prec emax) nz ->
  sequence V N y -> admissible m ->
  generate o (unconditional_integers V N) nz m (unconditional_integer_prompt y) [] N = map y (seq 0 N).
Proof. destruct HS. eapply unconditional_integers_unit; eauto. Qed.
Lemma conditional_unit nz f x m : one_hot_normaliser (stands_for prec emax) nz ->
  sequence V V f -> (x < V)%nat -> admissible m ->
  generate o (conditional_integers V) nz m (conditional_integer_prompt f) [x] 1 = [f x].
Proof. destruct HS. eapply conditional_integers_unit; eauto. Qed.
Lemma responses_unit nz K f x m : one_hot_normaliser (stands_for prec emax) nz ->
  responses V K f -> (x < V)%nat -> sees_prompt K m ->
  generate o (longer_responses_integers V K) nz m (longer_responses_integer_prompt K f) [x] K
  = map (fun g => f g x) (seq 0 K).
Proof. destruct HS. eapply responses_integers_unit; eauto. Qed.
End Suitable.

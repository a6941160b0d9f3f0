(** * Sums on a matrix unit: any assignment of products to blocks, any chain or tree of blocks

    Factors are numbers of an input format, results of binary32, between products numbers
    are stored in a format.  bf16 and fp16: the input format is the stored one.  tf32:
    binary32 is stored, and factors are cut to 11 bits. *)

From Coq Require Import List Arith Bool ZArith Reals Lra Lia Permutation.
From Flocq Require Import Core BinarySingleNaN.
From PrefixProof Require Import Floats MatrixUnits.
Import ListNotations.
Open Scope R_scope.

(** ** IEEE numbers as numbers of a block *)
Section Numbers.
Variables prec emax : Z.
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Notation float := (binary_float prec emax).
Notation rep := (stands_for prec emax).

Definition number_of (x : float) : number :=
  match x with B754_finite s m e _ => Float radix2 (cond_Zopp s (Zpos m)) e | _ => no_number end.
(** The least exponent of the format's normal numbers. *)
Definition least_of : Z := 2 - emax.

Lemma value_number_of (x : float) : value (number_of x) = B2R x.
Proof. destruct x; cbn; auto; apply Rmult_0_l. Qed.
Lemma Fnum_0 (x : number) : value x = 0 -> Fnum x = 0%Z.
Proof. destruct (Z.eq_dec (Fnum x) 0); auto. intros V. now destruct (value_neq_0 x). Qed.

Lemma mag_float (x : float) : B2R x <> 0 -> (mag radix2 (B2R x) <= emax)%Z.
Proof. intros H. apply mag_le_bpow; auto. apply abs_B2R_lt_emax. Qed.
Lemma order_number_of (x : float) : B2R x <> 0 ->
  order least_of (number_of x) = Z.max (mag radix2 (B2R x) - 1) least_of.
Proof.
  intros H. rewrite <- value_number_of in *. unfold order. f_equal.
  rewrite mag_number; [lia|]. intros Q. now apply H, value_0.
Qed.
(** A product counts with no larger exponent than its own, or 1 where a factor is subnormal. *)
Lemma order_product (x y : float) b : (2 <= emax)%Z -> B2R x * B2R y <> 0 -> (1 <= b)%Z ->
  Rabs (B2R x * B2R y) < bpow radix2 (b + 1) ->
  (order least_of (number_of x) + order least_of (number_of y) <= b)%Z.
Proof.
  intros He N Hb B. assert (B2R x <> 0 /\ B2R y <> 0) as [Nx Ny] by (split; intros Q; apply N; rewrite Q; ring).
  rewrite !order_number_of by auto. apply mag_le_bpow in B; auto.
  pose proof (mag_mult radix2 (B2R x) (B2R y) Nx Ny). pose proof (mag_float x Nx). pose proof (mag_float y Ny).
  unfold least_of. lia.
Qed.
End Numbers.

Notation float32 := (binary_float 24 128).
Notation rep32 := (stands_for 24 128).
Notation representable32 := (representable 24 128).
Global Instance below_128 : Prec_lt_emax 24 128 := eq_refl.

(** Round to nearest even to another format. *)
Definition convert {p1 e1} p2 e2 (H1 : Prec_gt_0 p2) (H2 : Prec_lt_emax p2 e2) (x : binary_float p1 e1)
  : binary_float p2 e2 :=
  match x with
  | B754_finite s m e _ => binary_normalize p2 e2 H1 H2 mode_NE (cond_Zopp s (Zpos m)) e s
  | B754_zero s => B754_zero s
  | B754_infinity s => B754_infinity s
  | B754_nan => B754_nan
  end.
Lemma convert_exact p1 e1 p2 e2 H1 H2 (x : binary_float p1 e1) r : stands_for p1 e1 x r ->
  representable p2 e2 r -> stands_for p2 e2 (convert p2 e2 H1 H2 x) r.
Proof.
  intros [Hf Hr] F. destruct x as [s|s| |s m e B]; try discriminate; cbn [convert].
  - now split.
  - cbn [B2R] in Hr. set (z := cond_Zopp s (Zpos m)) in *.
    pose proof (binary_normalize_correct p2 e2 H1 H2 mode_NE z e s) as N. cbv zeta in N.
    rewrite Hr in N. destruct (round_representable p2 e2 r F) as [E Q]. rewrite Q, E in N.
    split; apply N.
Qed.

(** A block of IEEE numbers; the model has no rules for infinities and NaN. *)
Section Block.
Variables prec emax : Z.
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Notation float := (binary_float prec emax).
Variable u : matrix_unit.

Definition float_block (abs : list (float * float)) (c : float32) : float32 :=
  if forallb (fun ab => is_finite (fst ab) && is_finite (snd ab)) abs && is_finite c then
    let r := block u (least_of emax)
      (map (fun ab => (number_of _ _ (fst ab), number_of _ _ (snd ab))) abs) (number_of _ _ c) in
    binary_normalize 24 128 prec_24 below_128 mode_NE (Fnum r) (Fexp r) false
  else B754_nan.

Definition good_unit : Prop := (23 <= fraction_bits u /\ zero_order u <= 0)%Z.
Hypothesis Hu : good_unit.
Hypothesis He : (2 <= emax)%Z.

Definition pair_value (ab : float * float) : R := B2R (fst ab) * B2R (snd ab).
Definition pairs_value (abs : list (float * float)) : R :=
  fold_right (fun ab s => pair_value ab + s) 0 abs.

Lemma value_product least ab : value (fst (product least ab)) = value (fst ab) * value (snd ab).
Proof. destruct ab as [[m e] [m' e']]. unfold product, F2R. cbn. rewrite mult_IZR, bpow_plus. ring. Qed.
Lemma value_no_number : value no_number = 0.
Proof. apply Rmult_0_l. Qed.
Lemma zeros_sum least n : exact_sum (map (product least) (repeat (no_number, no_number) n)) = 0.
Proof.
  induction n; cbn [repeat map total fold_right]; [reflexivity|].
  fold (exact_sum (map (product least) (repeat (no_number, no_number) n))). rewrite IHn, value_product.
  cbn [fst snd]. rewrite value_no_number. ring.
Qed.
Lemma total_app ts1 ts2 : exact_sum (ts1 ++ ts2) = exact_sum ts1 + exact_sum ts2.
Proof.
  induction ts1 as [|t ts IH]; [symmetry; apply Rplus_0_l|].
  change (value (fst t) + exact_sum (ts ++ ts2) = value (fst t) + exact_sum ts + exact_sum ts2).
  rewrite IH. ring.
Qed.

Lemma float_block_exact abs c r g : (-22 <= g)%Z -> (g <= 103)%Z ->
  rep32 c r -> Forall (fun ab => is_finite (fst ab) = true /\ is_finite (snd ab) = true /\
    multiple g (pair_value ab) /\ Rabs (pair_value ab) < bpow radix2 (g + fraction_bits u + 1)) abs ->
  multiple g r -> Rabs r < bpow radix2 (g + fraction_bits u + 1) ->
  Rabs (r + pairs_value abs) <= bpow radix2 (g + 24) -> rep32 (float_block abs c) (r + pairs_value abs).
Proof.
  destruct Hu as [U1 U2]. intros Hg Hg2 [Fc Rc] Hab Mr Br Bs. unfold float_block.
  assert (Ff : forallb (fun ab : float * float => is_finite (fst ab) && is_finite (snd ab)) abs = true).
  { apply forallb_forall. intros ab I. rewrite Forall_forall in Hab. destruct (Hab ab I) as (-> & -> & _). reflexivity. }
  rewrite Ff, Fc. cbn [andb]. set (nums := map _ abs). set (x := block u _ nums _). cbv zeta.
  assert (S : exact_sum (accumulator (number_of 24 128 c) :: map (product (least_of emax)) (filled u nums)) = r + pairs_value abs).
  { unfold filled. rewrite map_app. cbn [total fold_right accumulator fst].
    fold (exact_sum (map (product (least_of emax)) nums ++ map (product (least_of emax)) (repeat (no_number, no_number) (products u - length nums)))).
    rewrite total_app, zeros_sum, value_number_of, Rc, Rplus_0_r. f_equal. unfold nums.
    clear. induction abs as [|ab abs IH]; [reflexivity|]. cbn [map total fold_right pairs_value].
    fold (pairs_value abs). rewrite value_product. cbn [fst snd]. rewrite !value_number_of. unfold pair_value. f_equal. exact IH. }
  assert (E : value x = r + pairs_value abs).
  { rewrite <- S. apply block_on_grid with (g := g); [lia| |now rewrite S].
    unfold filled. rewrite map_app. intros t [<-|I].
    - cbn [accumulator fst]. rewrite value_number_of, Rc. split; auto. unfold counted_order. cbn [fst snd accumulator].
      destruct (Z.eqb_spec (Fnum (number_of 24 128 c)) 0) as [_|N]; [lia|].
      change least_order with (least_of 128).
      assert (Nr : r <> 0) by (rewrite <- Rc, <- value_number_of; now apply value_neq_0).
      rewrite order_number_of by congruence. rewrite Rc. apply mag_le_bpow in Br; auto.
      unfold least_of. lia.
    - apply in_app_iff in I. destruct I as [I|I].
      + apply in_map_iff in I. destruct I as (n & <- & I). unfold nums in I. apply in_map_iff in I.
        destruct I as (ab & <- & I). rewrite Forall_forall in Hab. destruct (Hab ab I) as (_ & _ & M & B).
        rewrite value_product. cbn [fst snd]. rewrite !value_number_of. split; [exact M|].
        unfold counted_order. cbn [product fst snd Fnum].
        destruct (Z.eqb_spec (Fnum (number_of prec emax (fst ab)) * Fnum (number_of prec emax (snd ab))) 0) as [_|N]; [lia|].
        apply order_product; auto; [|lia]. rewrite <- !value_number_of.
        apply Rmult_integral_contrapositive_currified; apply value_neq_0; intros Q; apply N; rewrite Q; ring.
      + apply in_map_iff in I. destruct I as (n & <- & I). apply repeat_spec in I. subst n.
        rewrite value_product. cbn [fst snd]. rewrite value_no_number, Rmult_0_l.
        split; [apply generic_format_0|]. cbn. lia. }
  assert (R : representable32 (r + pairs_value abs)).
  { split.
    - change (SpecFloat.fexp 24 128) with (FLT_exp (-149) 24).
      assert (G : binary32_number (value x)).
      { unfold x, block. rewrite block_meaning. apply generic_format_round; auto with typeclass_instances. }
      now rewrite E in G.
    - eapply Rle_lt_trans; [exact Bs|]. apply bpow_lt. lia. }
  rewrite <- E in *. destruct x as [m e]. cbn [Fnum Fexp]. now apply (normalize_exact 24 128).
Qed.
End Block.

(** ** The error of a chain: that of its blocks *)
Definition block_bound (u : matrix_unit) (c : term) (ts : list term) : R :=
  let place := last_place u c ts in
  INR (inexact_terms place (c :: ts)) * bpow radix2 place
  + Rmax (bpow radix2 (-23) * Rabs (value (truncated_sum place (c :: ts)))) (bpow radix2 (-149)).
Fixpoint chain_bound (u : matrix_unit) (least : Z) (blocks : list (list (number * number))) (c : number) : R :=
  match blocks with
  | [] => 0
  | b :: bs => block_bound u (accumulator c) (map (product least) (filled u b))
               + chain_bound u least bs (block u least b c)
  end.
Lemma chain_error u least blocks : forall c,
  Rabs (value (chain u least blocks c) - (value c + exact_sum (map (product least) (concat blocks))))
  <= chain_bound u least blocks c.
Proof.
  induction blocks as [|b bs IH]; intros c; cbn [chain chain_bound concat map].
  - cbn [total fold_right]. rewrite Rplus_0_r, Rminus_diag_eq, Rabs_R0 by reflexivity. lra.
  - rewrite map_app, total_app. specialize (IH (block u least b c)).
    pose proof (block_error u (accumulator c) (map (product least) (filled u b))) as B. cbv zeta in B.
    fold (block u least b c) (block_bound u (accumulator c) (map (product least) (filled u b))) in B.
    assert (E : exact_sum (accumulator c :: map (product least) (filled u b))
                = value c + exact_sum (map (product least) b)).
    { unfold filled. rewrite map_app. cbn [total fold_right accumulator fst]. f_equal.
      etransitivity; [apply total_app|]. now rewrite zeros_sum, Rplus_0_r. }
    rewrite E in B. set (r := value (chain u least bs (block u least b c))) in *.
    set (x := value (block u least b c)) in *. set (p := exact_sum (map (product least) b)) in *.
    set (q := exact_sum (map (product least) (concat bs))) in *.
    replace (r - (value c + (p + q))) with ((x - (value c + p)) + (r - (x + q))) by ring.
    eapply Rle_trans; [apply Rabs_triang|]. now apply Rplus_le_compat.
Qed.

(** ** Any chain or tree of blocks *)
Section Sums.
Variables prec emax : Z.                               (* of stored numbers *)
Context (Hprec : Prec_gt_0 prec) (Hmax : Prec_lt_emax prec emax).
Variables pin ein : Z.                                 (* of factors *)
Context (Hpin : Prec_gt_0 pin) (Hein : Prec_lt_emax pin ein).
Notation float := (binary_float prec emax).
Notation factor := (binary_float pin ein).
Notation rep := (stands_for prec emax).
Notation F := (representable prec emax).
Variable input : float -> factor.                      (* how the unit reads a stored number *)
Variable u : matrix_unit.

Definition widen : float -> float32 := convert 24 128 prec_24 below_128.
Definition narrow : float32 -> float := convert prec emax Hprec Hmax.
(** A number may be multiplied by 1 (a bias in a column of the weights, the sum of two heads)
    where the format of factors holds it. *)
Definition factors (t : addend prec emax) : factor * factor :=
  match t with
  | Value _ _ a => (input a, input (float_of_Z prec emax Hprec Hmax 1))
  | Product _ _ a b => (input a, input b)
  end.

Definition held (t : addend prec emax) : Prop :=
  match t with
  | Value _ _ a => exists r, rep a r /\ stands_for pin ein (input a) r
  | Product _ _ _ _ => True
  end.

(** [unit_sum terms l s]: the terms with the indices [l], added up on the unit: each in any block,
    blocks in any chain or tree, partial sums added in binary32 (split K), single terms multiplied
    and added outside of blocks; with [storing], partial sums may pass through the stored
    format (torch's reduced-precision reduction; a bias added to a stored product). *)
Inductive unit_sum (storing : bool) (terms : nat -> addend prec emax) : list nat -> float32 -> Prop :=
| unit_nothing : unit_sum storing terms [] (float_zero 24 128 prec_24 below_128)
| unit_value k a : terms k = Value _ _ a -> unit_sum storing terms [k] (widen a)
| unit_product k a b : terms k = Product _ _ a b ->
    unit_sum storing terms [k] (Bmult mode_NE (widen a) (widen b))
| unit_block l1 l2 c : unit_sum storing terms l1 c -> (length l2 <= products u)%nat ->
    (forall k, In k l2 -> held (terms k)) ->
    unit_sum storing terms (l1 ++ l2)
      (float_block pin ein u (map (fun k => factors (terms k)) l2) c)
| unit_addition l1 l2 a b : unit_sum storing terms l1 a -> unit_sum storing terms l2 b ->
    unit_sum storing terms (l1 ++ l2) (Bplus mode_NE a b)
| unit_fma k l a b s : terms k = Product _ _ a b -> unit_sum storing terms l s ->
    unit_sum storing terms (k :: l) (Bfma mode_NE (widen a) (widen b) s)
| unit_stored l s : storing = true -> unit_sum storing terms l s ->
    unit_sum storing terms l (widen (narrow s)).
Definition unit_any_order (storing : bool) (n : nat) (terms : nat -> addend prec emax) (s : float32) : Prop :=
  exists l, Permutation l (seq 0 n) /\ unit_sum storing terms l s.

(** The term is [z], and the unit reads its factors without an error. *)
Definition read_as (t : addend prec emax) (z : R) : Prop :=
  match t with
  | Value _ _ a => rep a z
  | Product _ _ a b => exists x y, x * y = z /\ rep a x /\ rep b y /\
      stands_for pin ein (input a) x /\ stands_for pin ein (input b) y
  end.

Hypothesis Hu : good_unit u.
Hypothesis He : (2 <= ein)%Z.
(** The unit reads 1 as 1. *)
Hypothesis one_read : rep (float_of_Z prec emax Hprec Hmax 1) 1 /\
  stands_for pin ein (input (float_of_Z prec emax Hprec Hmax 1)) 1.
(** binary32 has every stored number. *)
Definition stored_below_32 : Prop := (prec <= 24 /\ emax <= 128 /\ -149 <= 3 - emax - prec)%Z.

Lemma on_grid32 g r : (-22 <= g <= 103)%Z -> multiple g r -> Rabs r < bpow radix2 (g + 24) -> representable32 r.
Proof.
  intros Hg M B. split.
  - change (SpecFloat.fexp 24 128) with (FLT_exp (-149) 24). apply multiple_binary32 with g; auto; [lia|lra].
  - eapply Rlt_trans; [exact B|]. apply bpow_lt. lia.
Qed.

Hypothesis Hs : stored_below_32.
Lemma widen_exact x r : rep x r -> rep32 (widen x) r.
Proof.
  intros [Hf Hr]. destruct Hs as (S1 & S2 & S3). apply convert_exact with (p1 := prec) (e1 := emax); [now split|].
  rewrite <- Hr. split.
  - pose proof (generic_format_B2R prec emax x) as G.
    change (SpecFloat.fexp prec emax) with (FLT_exp (3 - emax - prec) prec) in G.
    apply FLT_format_generic in G; auto. destruct G as [f E M L].
    apply generic_format_FLT. exists f; [exact E| |now apply Z.le_trans with (1 := S3)].
    eapply Z.lt_le_trans; [exact M|]. now apply Z.pow_le_mono_r.
  - eapply Rlt_le_trans; [apply abs_B2R_lt_emax|]. now apply bpow_le.
Qed.

Lemma unit_sum_exact storing terms val l s g : (-22 <= g <= 103)%Z ->
  unit_sum storing terms l s -> NoDup l ->
  (forall k, In k l -> read_as (terms k) (val k)) ->
  (forall l', NoDup l' -> incl l' l -> multiple g (list_sum val l') /\ Rabs (list_sum val l') < bpow radix2 (g + 24)) ->
  (storing = true -> forall l', NoDup l' -> incl l' l -> F (list_sum val l')) ->
  rep32 s (list_sum val l).
Proof.
  intros Hg. destruct (Hu) as [U1 U2].
  assert (W : forall r, Rabs r < bpow radix2 (g + 24) -> Rabs r < bpow radix2 (g + fraction_bits u + 1)).
  { intros r B. eapply Rlt_le_trans; [exact B|]. apply bpow_le. lia. }
  induction 1 as [|k a E|k a b E|l1 l2 c _ IH _ Hl|l1 l2 a b _ IH1 _ IH2|k l a b s E _ IH|l s E _ IH]; intros ND HT HG HF.
  - apply of_Z_exact. split; [apply generic_format_0|rewrite Rabs_R0; apply bpow_gt_0].
  - pose proof (HT k (or_introl eq_refl)) as T. rewrite E in T. cbn in T.
    cbn [list_sum fold_right]. rewrite Rplus_0_r.
    destruct (HG [k] ND (incl_refl _)) as [M B]. cbn in M, B. rewrite Rplus_0_r in M, B.
    apply convert_exact with (1 := T). now apply on_grid32 with g.
  - pose proof (HT k (or_introl eq_refl)) as T. rewrite E in T. destruct T as (x & y & P & Tx & Ty & _).
    cbn [list_sum fold_right]. rewrite Rplus_0_r.
    destruct (HG [k] ND (incl_refl _)) as [M B]. cbn in M, B. rewrite Rplus_0_r in M, B.
    rewrite <- P in *.
    apply mult_exact; [now apply widen_exact|now apply widen_exact|now apply on_grid32 with g].
  - destruct (NoDup_parts _ _ ND) as [ND1 ND2]. rewrite list_sum_app.
    assert (HP : forall k, In k l2 -> is_finite (fst (factors (terms k))) = true /\
      is_finite (snd (factors (terms k))) = true /\ pair_value pin ein (factors (terms k)) = val k).
    { intros k I. specialize (Hl k I). pose proof (HT k ltac:(apply in_app_iff; now right)) as T.
      unfold pair_value. destruct (terms k) as [a|a b]; cbn in *.
      - destruct Hl as (r & [_ R1] & [R2 R3]). destruct T as [_ T]. destruct one_read as [_ [O1 O2]].
        rewrite R3, O2. repeat split; auto. rewrite Rmult_1_r. congruence.
      - destruct T as (x & y & P & _ & _ & [X1 X2] & [Y1 Y2]). rewrite X2, Y2. now repeat split. }
    assert (PV : pairs_value pin ein (map (fun k => factors (terms k)) l2) = list_sum val l2).
    { clear - HP. induction l2 as [|k l2 IH]; [reflexivity|]. cbn [map pairs_value fold_right list_sum].
      f_equal; [apply HP; now left|]. apply IH. intros; apply HP; now right. }
    rewrite <- PV.
    destruct (HG l1 ND1 (incl_appl _ (incl_refl _))) as [M1 B1].
    destruct (HG (l1 ++ l2) ND (incl_refl _)) as [_ B12]. rewrite list_sum_app, <- PV in B12.
    apply float_block_exact with (g := g); auto; try lia; [| |left; exact B12].
    + apply IH; auto; intros.
      * apply HT, in_app_iff. now left.
      * apply HG; auto. now apply incl_appl.
      * apply HF; auto. now apply incl_appl.
    + apply Forall_forall. intros ab I. apply in_map_iff in I. destruct I as (k & <- & I).
      assert (I' : In k (l1 ++ l2)) by (apply in_app_iff; now right).
      destruct (HP k I) as (F1 & F2 & P). rewrite P. split; [exact F1|split; [exact F2|]].
      destruct (HG [k]) as [M B].
      * constructor; [intros []|constructor].
      * intros x [<-|[]]. exact I'.
      * cbn in M, B. rewrite Rplus_0_r in M, B. split; auto.
  - destruct (NoDup_parts _ _ ND) as [ND1 ND2]. rewrite list_sum_app.
    destruct (HG (l1 ++ l2) ND (incl_refl _)) as [M12 B12]. rewrite list_sum_app in M12, B12.
    apply plus_exact; [apply IH1|apply IH2|now apply on_grid32 with g]; auto; intros.
    + apply HT, in_app_iff. now left.
    + apply HG; auto. now apply incl_appl.
    + apply HF; auto. now apply incl_appl.
    + apply HT, in_app_iff. now right.
    + apply HG; auto. now apply incl_appr.
    + apply HF; auto. now apply incl_appr.
  - inversion ND as [|? ? Nk Nl]; subst. pose proof (HT k (or_introl eq_refl)) as T. rewrite E in T.
    destruct T as (x & y & P & Tx & Ty & _). destruct (HG (k :: l) ND (incl_refl _)) as [M B].
    cbn [list_sum fold_right] in *. fold (list_sum val l) in *. rewrite <- P in *.
    apply fma_exact; [now apply widen_exact|now apply widen_exact| |now apply on_grid32 with g].
    apply IH; auto; intros.
    + apply HT. now right.
    + apply HG; auto. now apply incl_tl.
    + apply HF; auto. now apply incl_tl.
  - destruct (HG l ND (incl_refl _)) as [M B].
    apply convert_exact with (p1 := prec) (e1 := emax); [|now apply on_grid32 with g].
    apply convert_exact with (p1 := 24%Z) (e1 := 128%Z); [now apply IH|]. apply HF; auto. now apply incl_refl.
Qed.

(** ** The criterion: every term a multiple of [2^g], and the sum of the terms' magnitudes
    below [2^(g+24)] *)
Lemma list_sum_perm val l l' : Permutation l l' -> list_sum val l = list_sum val l'.
Proof. induction 1; cbn [list_sum fold_right] in *; unfold list_sum in *; lra. Qed.
Lemma list_sum_part val l' : NoDup l' -> forall l, incl l' l ->
  Rabs (list_sum val l') <= list_sum (fun k => Rabs (val k)) l.
Proof.
  induction 1 as [|k l' Hk N IH]; intros l I.
  - cbn. rewrite Rabs_R0. clear. induction l as [|k l IH]; cbn; [lra|].
    pose proof (Rabs_pos (val k)). unfold list_sum in *. lra.
  - destruct (in_split k l (I k (or_introl eq_refl))) as (l1 & l2 & ->).
    rewrite list_sum_app. cbn [list_sum fold_right]. fold (list_sum val l').
    assert (I' : incl l' (l1 ++ l2)).
    { intros j J. specialize (I j (or_intror J)). apply in_app_iff in I. apply in_app_iff.
      destruct I as [I|[->|I]]; auto. contradiction. }
    specialize (IH (l1 ++ l2) I'). rewrite list_sum_app in IH.
    pose proof (Rabs_triang (val k) (list_sum val l')). unfold list_sum in *. lra.
Qed.
Lemma multiple_list_sum val g l : (forall k, In k l -> multiple g (val k)) -> multiple g (list_sum val l).
Proof.
  intros H. induction l as [|k l IH]; [apply generic_format_0|].
  destruct (FIX_format_generic _ _ _ (H k (or_introl eq_refl))) as [[m e] E1 E2].
  destruct (FIX_format_generic _ _ _ (IH (fun x I => H x (or_intror I)))) as [[m' e'] E1' E2'].
  cbn [Fexp] in *. subst. apply generic_format_FIX. exists (Float radix2 (m + m') g); [|reflexivity].
  cbn [list_sum fold_right]. fold (list_sum val l). rewrite E1, E1'. unfold F2R. cbn [Fnum Fexp].
  rewrite plus_IZR. ring.
Qed.

Theorem unit_any_order_exact storing n terms val s g : (-22 <= g <= 103)%Z ->
  unit_any_order storing n terms s ->
  (forall k, (k < n)%nat -> read_as (terms k) (val k) /\ multiple g (val k)) ->
  list_sum (fun k => Rabs (val k)) (seq 0 n) < bpow radix2 (g + 24) ->
  (storing = true -> forall l, NoDup l -> incl l (seq 0 n) -> F (list_sum val l)) ->
  rep32 s (list_sum val (seq 0 n)).
Proof.
  intros Hg (l & Pl & Ul) HT B HF. rewrite <- (list_sum_perm val _ _ Pl).
  assert (Il : forall k, In k l -> (k < n)%nat).
  { intros k I. apply (Permutation_in k Pl) in I. apply in_seq in I. lia. }
  apply unit_sum_exact with (storing := storing) (terms := terms) (g := g); auto.
  - apply (Permutation_NoDup (Permutation_sym Pl)), seq_NoDup.
  - intros k I. apply HT, Il, I.
  - intros l' N I. split.
    + apply multiple_list_sum. intros k K. apply HT, Il, I, K.
    + eapply Rle_lt_trans; [apply list_sum_part with (l := seq 0 n); auto|exact B].
      intros k K. apply (Permutation_in k Pl), I, K.
  - intros E l' N I. apply HF; auto. intros k K. apply (Permutation_in k Pl), I, K.
Qed.
End Sums.

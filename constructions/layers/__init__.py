"""Layers, one class in one file each; :mod:`constructions.layers.base` says how a new one is written."""

from constructions.layers.attention import Attention as Attention
from constructions.layers.base import Layer as Layer
from constructions.layers.composed import Chain as Chain
from constructions.layers.composed import Gated as Gated
from constructions.layers.composed import Residual as Residual
from constructions.layers.composed import Sum as Sum
from constructions.layers.head import Head as Head
from constructions.layers.linear import Linear as Linear
from constructions.layers.masks import CAUSAL as CAUSAL
from constructions.layers.masks import FULL as FULL
from constructions.layers.masks import Mask as Mask
from constructions.layers.masks import Table as Table
from constructions.layers.masks import Window as Window
from constructions.layers.norm import L2Norm as L2Norm
from constructions.layers.norm import LayerNorm as LayerNorm
from constructions.layers.norm import Norm as Norm
from constructions.layers.norm import RMSNorm as RMSNorm
from constructions.layers.positions import Added as Added
from constructions.layers.positions import OneHot as OneHot
from constructions.layers.positions import Positions as Positions
from constructions.layers.positions import Unmarked as Unmarked
from constructions.layers.positions import sinusoidal as sinusoidal
from constructions.layers.rotary import Rotary as Rotary
from constructions.layers.rotary import rotary as rotary
from constructions.layers.softmax1 import Softmax1Attention as Softmax1Attention
from constructions.layers.weighted import Weighted as Weighted

"""The compiled float engine: batch in the last axis, nothing done twice that targets have in common."""

from verify.engine.arithmetic import EngineArithmetic as EngineArithmetic

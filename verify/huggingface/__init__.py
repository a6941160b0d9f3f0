"""Stock classes of Hugging Face's transformers and peft: constructions in them, as files, and under evidence.

Everything here needs the extra ``huggingface``; it is imported when it is first used.
"""

from verify.huggingface.convert import different_tensors as different_tensors
from verify.huggingface.convert import to_huggingface as to_huggingface
from verify.huggingface.families import FAMILIES as FAMILIES
from verify.huggingface.turning import stock_rotary as stock_rotary

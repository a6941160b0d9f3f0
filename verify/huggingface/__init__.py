"""Stock classes of Hugging Face's transformers and peft: constructions in them, as files, and under evidence.

Everything here needs the extra ``huggingface``; it is imported when it is first used.
"""

from verify.huggingface.adapters import to_multitask as to_multitask
from verify.huggingface.adapters import to_peft as to_peft
from verify.huggingface.attention.drawn import draw_model as draw_model
from verify.huggingface.attention.drawn import drawn_report as drawn_report
from verify.huggingface.attention.drawn import fuzz_attention as fuzz_attention
from verify.huggingface.backend import HuggingFaceBackend as HuggingFaceBackend
from verify.huggingface.convert import different_tensors as different_tensors
from verify.huggingface.convert import to_huggingface as to_huggingface
from verify.huggingface.families import FAMILIES as FAMILIES
from verify.huggingface.models import load_model as load_model
from verify.huggingface.prefix_report import PrefixReport as PrefixReport
from verify.huggingface.prefix_report import prefix_report as prefix_report
from verify.huggingface.reading import from_huggingface as from_huggingface
from verify.huggingface.saving import save as save
from verify.huggingface.saving import write_huggingface as write_huggingface
from verify.huggingface.turning import stock_rotary as stock_rotary

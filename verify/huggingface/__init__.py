"""Language models of Hugging Face's libraries: needs the extra ``huggingface``."""

from verify.huggingface.attention.drawn import draw_model as draw_model
from verify.huggingface.attention.drawn import drawn_report as drawn_report
from verify.huggingface.attention.drawn import fuzz_attention as fuzz_attention
from verify.huggingface.attention.opened import load_model as load_model
from verify.huggingface.prefix_report import PrefixReport as PrefixReport
from verify.huggingface.prefix_report import prefix_report as prefix_report

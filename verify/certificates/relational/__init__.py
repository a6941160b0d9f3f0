"""Relations between coordinates, which bounds of each coordinate by itself forget."""

from verify.certificates.relational import balls as balls  # registers how its bounds are taken apart
from verify.certificates.relational import floats as floats  # registers how its bounds are taken apart
from verify.certificates.relational.symbolic import factored as factored
from verify.certificates.relational.symbolic import relational as relational

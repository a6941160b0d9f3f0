"""The evidence of a device: every measurement and check that wants one, written as one small folder."""

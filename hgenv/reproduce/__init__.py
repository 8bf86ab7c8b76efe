"""The tables of the paper (Yang & Deng, CVPR 2020) by command: its rows as played here, beside those published."""

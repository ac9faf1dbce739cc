"""The exam: two eyes, their views and readings, one result that can be trusted, kept and sent.

`rules`, `machine` and `result` are pure; `journal` keeps an exam; `session` joins camera, Screener and journal.
"""

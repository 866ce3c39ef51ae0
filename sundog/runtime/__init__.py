"""The only door to time, tasks, chance and ids.

May import ``sundog.core`` and ``sundog.errors``, asyncio, NumPy and (``warp`` alone) SimPy. Start reading at ``warp``,
the loop whose clock is the simulation; sagas import ``aio`` and nothing else; ``seeds`` gives every part of a run its
own named random stream; ``journal`` keeps what happened. ``docs/explanation/time.md`` says what to beware of.
"""

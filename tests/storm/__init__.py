"""
The storm: the return engine under fire, judged from outside.

    __main__    what `manage.py storm` starts: one storm on a stack of its own, one JSON object
    plant       the servers, the rail's simulator, the nursery of workers; how each is hurt
    nursery     a process that forks real Celery workers in milliseconds, with failpoints and seeded bugs in them
    estate      claims with positions and destinations, made in bulk
    office      the people: they schedule, sign, export, import statements, decide what is in doubt, stop and resume
    weather     which fault comes when, by the seed
    judge       reads the simulator's truth file, the books and the record, and states invariants I1 to I10
    bugs        faults of our own making, one at a time: the judge must catch each

Nothing here is reachable from the product: failpoints and bugs are laid over its functions in the workers of a storm.
"""

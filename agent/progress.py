"""How far the running statement is: finished tasks of all known tasks of its Spark jobs."""

from threading import Thread
from time import monotonic

INTERVAL_S = 0.25
SHARE = 0.1  # of the time may be spent on looking, when a statement has thousands of jobs


class Progress:
    """Looks only while a statement uses Spark."""

    def __init__(self, driver, canceller, link):
        self._driver = driver
        self._canceller = canceller
        self._link = link

    def start(self):
        Thread(target=self._run, name="progress", daemon=True).start()

    def _run(self):
        while True:
            self._driver.spark_used.wait()
            self._driver.spark_used.clear()
            self._follow(self._canceller.running)

    def _follow(self, statement):
        """Until the statement is over."""
        told = 0.0
        finished = {}  # job that ended → its number of tasks; they need no further look
        pause = INTERVAL_S
        while statement is not None and not statement.over.wait(pause):
            begin = monotonic()
            try:
                share = self._share(statement.group, finished)
            except Exception:
                return  # the context was stopped, or the JVM ended; others see to that
            if share > told:
                told = share
                progress = round(share, 4)
                self._link.tell({"t": "progress", "id": statement.id, "progress": progress})
            pause = max(INTERVAL_S, (monotonic() - begin) / SHARE)

    def _share(self, group, finished):
        tracker = self._driver.status_tracker()
        done = known = sum(finished.values())
        for job in tracker.getJobIdsForGroup(group):
            if job not in finished:
                job_done, job_known, ended = _tasks(tracker, job)
                done += job_done
                known += job_known
                if ended:
                    finished[job] = job_known
        return done / known if known else 0.0


def _tasks(tracker, job):
    """Finished and known tasks of one job, and whether it has succeeded."""
    info = tracker.getJobInfo(job)
    if info is None:
        return 0, 0, False
    stages = [tracker.getStageInfo(stage) for stage in info.stageIds()]
    stages = [stage for stage in stages if stage is not None]
    known = sum(stage.numTasks() for stage in stages)
    if info.status().toString() == "SUCCEEDED":  # stages that were skipped never finish
        return known, known, True
    return sum(stage.numCompletedTasks() for stage in stages), known, False

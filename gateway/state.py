"""What handlers find in the application and in a request, by typed keys.

The composition root (`app.py`) sets every one of them, once. aiohttp compares the keys by identity,
so they live here and nowhere else.
"""

from uuid import UUID

from aiohttp import web

from engine.engine import Engine
from gateway.asked import Asked
from gateway.billing.desk import BillingDesk
from gateway.compat.convertapi.visitors import Visitors
from gateway.config import Settings
from gateway.connections.desk import StorageDesk
from gateway.drain import Door
from gateway.endpoint import Endpoint, Handler
from gateway.limits.limits import Limits
from gateway.limits.policies import Policy, Verdict
from gateway.mail.postman import Postman
from gateway.metrics import Metrics
from gateway.operations import Operations
from gateway.outbound.client import Outbound
from gateway.people.desk import PeopleDesk
from gateway.privacy.desk import PrivacyDesk
from gateway.process import Process
from gateway.processes.siblings import Siblings
from gateway.proof_of_work import ProofOfWork
from gateway.receipt_desk import ReceiptDesk
from gateway.stages import Observer, Trail
from gateway.tasks.asked import TaskAsked
from gateway.tasks.runner import Runner
from gateway.tasks.stream import Streams
from gateway.tokens.desk import TokenDesk
from gateway.uploads import Memory
from ledger.accounts.keys import Caller
from ledger.ledger import Ledger
from ledger.people.person import Session

SETTINGS = web.AppKey("settings", Settings)
ENGINE = web.AppKey("engine", Engine)
LEDGER = web.AppKey("ledger", Ledger)
METRICS = web.AppKey("metrics", Metrics)
MEMORY = web.AppKey("memory", Memory)
DOOR = web.AppKey("door", Door)
OPERATIONS = web.AppKey("operations", Operations)
SIBLINGS = web.AppKey("siblings", Siblings)
PROCESS = web.AppKey("process", Process)
OUTBOUND = web.AppKey("outbound", Outbound)
STORAGE = web.AppKey("storage", StorageDesk)
TASKS = web.AppKey("tasks", Runner)
POSTMAN = web.AppKey("postman", Postman)
PROOF_OF_WORK = web.AppKey("proof_of_work", ProofOfWork)
STREAMS = web.AppKey("streams", Streams)
LIMITS = web.AppKey("limits", Limits)
VISITORS = web.AppKey("visitors", Visitors)
TOKEN_DESK = web.AppKey("token_desk", TokenDesk)
RECEIPTS = web.AppKey("receipts", ReceiptDesk)
PRIVACY = web.AppKey("privacy", PrivacyDesk)
PEOPLE_DESK = web.AppKey("people_desk", PeopleDesk)
BILLING = web.AppKey("billing", BillingDesk)
OBSERVERS = web.AppKey("observers", tuple[Observer, ...])
ENDPOINTS = web.AppKey("endpoints", dict[Handler, Endpoint])
# Documents that never change while the process lives, encoded once.
FORMATS_PAGE = web.AppKey("formats_page", bytes)
PRICES_PAGE = web.AppKey("prices_page", bytes)
OPENAPI_PAGE = web.AppKey("openapi_page", bytes)

REQUEST_ID = web.RequestKey("request_id", UUID)
CALLER = web.RequestKey("caller", Caller)
# Who has signed in, where an address asks for a person.
PERSON = web.RequestKey("person", Session)
# Who gives an order, as the audit records name it.
OPERATOR = web.RequestKey("operator", str)
# The quotas it was counted for, and what is left of them.
VERDICTS = web.RequestKey("verdicts", list[tuple[Policy, Verdict]])
TRAIL = web.RequestKey("trail", Trail)
# What the head asks for, where the endpoint checks that.
ASKED = web.RequestKey("asked", Asked)
TASK_ASKED = web.RequestKey("task_asked", TaskAsked)
RESPONSE = web.RequestKey("response", web.StreamResponse)
# The code of the problem a request ended in, for its log line.
PROBLEM_CODE = web.RequestKey("problem_code", str)

"""Every error of the framework. The branch says what a caller does next.

AIAgentsError
├── RequestError                    change the request, then try again
│   ├── InvalidRequest
│   │   └── UnsupportedAttachment · PackageMissing
│   ├── NotFound
│   │   ├── AgentNotFound · ThreadNotFound · MessageNotFound · RunNotFound · RoleNotFound
│   │   ├── KeyNotFound · TokenNotFound · FileNotFound · ToolNotFound · ToolCallNotFound · JobNotFound
│   │   └── ProviderNotFound · WebhookNotFound · DeliveryNotFound
│   ├── Conflict
│   │   └── ThreadBusy · LastOwner · AgentDeleted
│   ├── PermissionDenied · PreconditionFailed
│   ├── InvalidCursor · InvalidEventId · LogTrimmed · InvalidIdempotencyKey · IdempotencyKeyReused
│   ├── FileTooLarge · UnsupportedFile
│   ├── GuardrailBlocked · ContextOverflow
│   └── QueueFull · TooManyAtOnce · QuotaExceeded · BudgetExceeded   may work later without a change
├── RunError                        the run ended without an answer
│   ├── RunCancelled · RunInterrupted · RunTimeout · RunWaiting · ToolLoopLimit
│   └── ProviderError
│       ├── ProviderRateLimited · ProviderTimeout · ProviderNotConfigured · InvalidOutput
│       ├── ProviderTruncated
│       │   └── UnknownFinishReason
│       └── ProviderRejected
│           └── ContextExceeded
└── Unavailable                     try again later
    ├── Overloaded · SecondProcess
    ├── DatabaseUnavailable
    │   └── DatabaseBusy · DatabaseFull
    └── StorageUnavailable
        └── BlobMissing · StorageFull

Facts about an error are fields; `code` is the stable word of the HTTP contract. What a model is told about a failed
tool is another type: `tools.base.ToolError`.
"""

from ai_agents.core.exceptions.base import AIAgentsError
from ai_agents.core.exceptions.requests import (
    AgentDeleted,
    AgentNotFound,
    BudgetExceeded,
    Conflict,
    ContextOverflow,
    DeliveryNotFound,
    FileNotFound,
    FileTooLarge,
    GuardrailBlocked,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidEventId,
    InvalidIdempotencyKey,
    InvalidRequest,
    JobNotFound,
    KeyNotFound,
    LastOwner,
    LogTrimmed,
    MessageNotFound,
    NotFound,
    PackageMissing,
    PermissionDenied,
    PreconditionFailed,
    ProviderNotFound,
    QueueFull,
    QuotaExceeded,
    RequestError,
    RoleNotFound,
    RunNotFound,
    ThreadBusy,
    ThreadNotFound,
    TokenNotFound,
    ToolCallNotFound,
    ToolNotFound,
    TooManyAtOnce,
    UnsupportedAttachment,
    UnsupportedFile,
    WebhookNotFound,
)
from ai_agents.core.exceptions.runs import (
    ContextExceeded,
    InvalidOutput,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderRejected,
    ProviderTimeout,
    ProviderTruncated,
    RunCancelled,
    RunError,
    RunInterrupted,
    RunTimeout,
    RunWaiting,
    ToolLoopLimit,
    UnknownFinishReason,
    run_error,
)
from ai_agents.core.exceptions.unavailable import (
    BlobMissing,
    DatabaseBusy,
    DatabaseFull,
    DatabaseUnavailable,
    Overloaded,
    SecondProcess,
    StorageFull,
    StorageUnavailable,
    Unavailable,
)

__all__ = [
    "AIAgentsError", "AgentDeleted", "AgentNotFound", "BlobMissing", "BudgetExceeded", "Conflict",
    "ContextExceeded", "ContextOverflow", "DatabaseBusy", "DatabaseFull", "DatabaseUnavailable",
    "DeliveryNotFound", "FileNotFound", "FileTooLarge", "GuardrailBlocked", "IdempotencyKeyReused",
    "InvalidCursor", "InvalidEventId", "InvalidIdempotencyKey", "InvalidOutput", "InvalidRequest", "JobNotFound",
    "KeyNotFound", "LastOwner", "LogTrimmed", "MessageNotFound", "NotFound", "Overloaded", "PackageMissing",
    "PermissionDenied", "PreconditionFailed", "ProviderError", "ProviderNotConfigured", "ProviderNotFound",
    "ProviderRateLimited", "ProviderRejected", "ProviderTimeout", "ProviderTruncated", "QueueFull",
    "QuotaExceeded", "RequestError", "RoleNotFound", "RunCancelled", "RunError", "RunInterrupted", "RunNotFound",
    "RunTimeout", "RunWaiting", "SecondProcess", "StorageFull", "StorageUnavailable", "ThreadBusy",
    "ThreadNotFound", "TokenNotFound", "TooManyAtOnce", "ToolCallNotFound", "ToolLoopLimit", "ToolNotFound",
    "Unavailable", "UnknownFinishReason", "UnsupportedAttachment", "UnsupportedFile", "WebhookNotFound",
    "run_error",
]  # fmt: skip

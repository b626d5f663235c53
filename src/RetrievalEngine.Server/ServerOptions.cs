using System;
using System.Collections.Generic;

namespace RetrievalEngine.Server;

/// <summary>Where a server listens and how much it takes on.</summary>
public sealed record ServerOptions
{
    /// <summary>The address to listen on; this machine alone unless said otherwise.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port; 0 for any that is free.</summary>
    public int Port { get; init; } = 8080;

    /// <summary>The keys of which a request must bear one (<c>Authorization: Bearer KEY</c>); none are asked for where this is empty.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>Requests that may be in the server at the same time; more are answered 429.</summary>
    public int MaxConcurrentRequests { get; init; } = 512;

    /// <summary>Tokens that may wait for the device; what would go beyond is answered 429, unless nothing waits.</summary>
    public long MaxQueuedTokens { get; init; } = 1 << 20;

    /// <summary>Texts of one request.</summary>
    public int MaxClientBatchSize { get; init; } = 2048;

    /// <summary>Bytes of one request.</summary>
    public long MaxBodyBytes { get; init; } = 32 << 20;

    /// <summary>Whether texts that are too long are cut where a request does not say.</summary>
    public bool AutoTruncate { get; init; } = true;

    /// <summary>How a text is treated where a request does not say.</summary>
    public TextRole DefaultRole { get; init; }

    /// <summary>How long requests under way may take to finish when the server stops.</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Told in a sentence what went wrong inside the server.</summary>
    public Action<string>? Log { get; init; }
}

using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using RetrievalEngine.Server;

namespace RetrievalEngine.Cli;

/// <summary>The options of <c>serve</c> that say where it listens and how much it takes on.</summary>
internal sealed class ServeOptions
{
    private static readonly ServerOptions s_defaults = new();

    private readonly Option<string> _host = new("--host", "--hostname")
    {
        Description = "IP address to listen on; 0.0.0.0 is every one of this machine",
        HelpName = "ADDRESS",
        DefaultValueFactory = _ => s_defaults.Host,
    };

    private readonly Option<int> _port = new("--port") { Description = "Port to listen on; 0 for any that is free", HelpName = "N", DefaultValueFactory = _ => s_defaults.Port };
    private readonly Option<string[]> _keys = new("--api-key") { Description = "Key that requests must bear (Authorization: Bearer KEY); may be repeated", HelpName = "KEY" };
    private readonly Option<TextRole> _role = new("--default-prompt-name")
    {
        Description = "What a text is where the request does not say: plain (no prefix), query or passage",
        DefaultValueFactory = _ => TextRole.Plain,
    };

    private readonly Option<bool> _truncate = new("--auto-truncate") { Description = "Whether over-long texts are cut where the request does not say", DefaultValueFactory = _ => s_defaults.AutoTruncate };
    private readonly Option<int?> _requests = CommonOptions.Count("--max-concurrent-requests", $"Requests at the same time (default {s_defaults.MaxConcurrentRequests}); more are answered 429");
    private readonly Option<int?> _queued = CommonOptions.Count("--max-queued-tokens", $"Tokens that may wait (default {s_defaults.MaxQueuedTokens}); more are answered 429");
    private readonly Option<int?> _texts = CommonOptions.Count("--max-client-batch-size", $"Texts of a request (default {s_defaults.MaxClientBatchSize})");
    private readonly Option<int?> _bytes = CommonOptions.Count("--payload-limit", string.Create(CultureInfo.InvariantCulture, $"Bytes of a request (default {s_defaults.MaxBodyBytes})"));

    public ServeOptions()
    {
        _port.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 0 or > ushort.MaxValue) result.AddError($"--port must lie between 0 and {ushort.MaxValue}");
        });
        // A key that a variable was to hold, and does not, must not open the door.
        _keys.Validators.Add(result =>
        {
            if (Array.Exists(result.GetValueOrDefault<string[]>() ?? [], string.IsNullOrWhiteSpace)) result.AddError("--api-key is empty");
        });
    }

    /// <summary>The options, to add to the verb.</summary>
    public IEnumerable<Option> All => [_host, _port, _keys, _role, _truncate, _requests, _queued, _texts, _bytes];

    private static string[] KeyOfEnvironment() => Environment.GetEnvironmentVariable(ServeCommand.KeyVariable) switch
    {
        null => [],
        { } key when string.IsNullOrWhiteSpace(key) => throw new InputException($"{ServeCommand.KeyVariable} is set but empty; unset it to serve without a key"),
        { } key => [key],
    };

    /// <summary>What they say; the environment may add a key.</summary>
    public ServerOptions Read(ParseResult parsed, Action<string> log) => new()
    {
        Host = parsed.GetValue(_host)!,
        Port = parsed.GetValue(_port),
        ApiKeys = [.. parsed.GetValue(_keys) ?? [], .. KeyOfEnvironment()],
        DefaultRole = parsed.GetValue(_role),
        AutoTruncate = parsed.GetValue(_truncate),
        MaxConcurrentRequests = parsed.GetValue(_requests) ?? s_defaults.MaxConcurrentRequests,
        MaxQueuedTokens = parsed.GetValue(_queued) ?? s_defaults.MaxQueuedTokens,
        MaxClientBatchSize = parsed.GetValue(_texts) ?? s_defaults.MaxClientBatchSize,
        MaxBodyBytes = parsed.GetValue(_bytes) ?? s_defaults.MaxBodyBytes,
        Log = log,
    };
}

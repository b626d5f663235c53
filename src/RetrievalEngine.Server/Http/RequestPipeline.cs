using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Security.Cryptography;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace RetrievalEngine.Server.Http;

/// <summary>What happens to every request before and behind its handler: key, place, body, and what went wrong as status and JSON.</summary>
internal sealed class RequestPipeline(ServerOptions options, string device, ServerMetrics metrics)
{
    private readonly byte[][] _keys = [.. options.ApiKeys.Select(Digest)];
    private readonly long _mostBytes = Math.Max(4 * options.MaxBodyBytes, 256 << 20);
    private int _underWay;
    private long _bytesUnderWay;

    /// <summary>Writes an error as the clients of a route expect it.</summary>
    public delegate void WriteError(Utf8JsonWriter writer, RequestException error);

    /// <summary>Whether the server takes no requests any more.</summary>
    public bool IsStopping { get; set; }

    /// <summary>Returns when no request is under way.</summary>
    public async Task EmptyAsync()
    {
        while (Volatile.Read(ref _underWay) > 0) await Task.Delay(5).ConfigureAwait(false);
    }

    /// <summary>As OpenAI's clients expect it.</summary>
    public static void OpenAiError(Utf8JsonWriter writer, RequestException error)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("error");
        writer.WriteString("message", error.Message);
        writer.WriteString("type", error.Type);
        writer.WriteNull("param");
        writer.WriteString("code", error.Type);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary>As those of text-embeddings-inference do.</summary>
    public static void TeiError(Utf8JsonWriter writer, RequestException error)
    {
        writer.WriteStartObject();
        writer.WriteString("error", error.Message);
        writer.WriteString("error_type", error.Type);
        writer.WriteEndObject();
    }

    /// <summary>A route that computes something from a JSON object; <paramref name="method"/> is its name in the metrics.</summary>
    public void MapPost(IEndpointRouteBuilder routes, string path, string method, WriteError error, Func<Call, Task> handler) =>
        routes.MapPost(path, http => AnswerAsync(http, method, error, handler));

    /// <summary>A route that tells what the server is.</summary>
    public void MapGet(IEndpointRouteBuilder routes, string path, Func<HttpContext, Task> handler) =>
        routes.MapGet(path, async http => await TellAsync(http, OpenAiError, () =>
        {
            CheckKey(http.Request);
            return handler(http);
        }).ConfigureAwait(false));

    /// <summary>Answers what no route takes.</summary>
    public Task NotFoundAsync(HttpContext http) => TellAsync(http, OpenAiError, () =>
        throw RequestException.NotFound($"no route {http.Request.Method} {http.Request.Path}; GET /info says what is served"));

    private async Task AnswerAsync(HttpContext http, string method, WriteError error, Func<Call, Task> handler)
    {
        long start = Stopwatch.GetTimestamp();
        metrics.Begin(method);
        bool isAnswered = await TellAsync(http, error, async () =>
        {
            CheckKey(http.Request);
            if (IsStopping) throw RequestException.Stopping();
            long bytes = Math.Min(http.Request.ContentLength ?? long.MaxValue, options.MaxBodyBytes);
            try
            {
                // Taken first and looked at then, so that a burst is not let in as a whole.
                bool isFull = Interlocked.Increment(ref _underWay) > options.MaxConcurrentRequests;
                if (Interlocked.Add(ref _bytesUnderWay, bytes) > _mostBytes || isFull) throw RequestException.Overloaded(1);
                JsonFields body = JsonFields.Parse((await ReadAsync(http.Request, http.RequestAborted).ConfigureAwait(false)).Span, "request");
                await handler(new Call(http, body, start, metrics, device)).ConfigureAwait(false);
            }
            finally
            {
                Interlocked.Add(ref _bytesUnderWay, -bytes);
                Interlocked.Decrement(ref _underWay);
            }
        }).ConfigureAwait(false);
        if (isAnswered) metrics.Succeed(method, Stopwatch.GetElapsedTime(start));
    }

    /// <summary>Runs a handler and turns what it throws into an answer; whether it threw nothing.</summary>
    private async Task<bool> TellAsync(HttpContext http, WriteError write, Func<Task> handler)
    {
        RequestException error;
        try
        {
            await handler().ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            metrics.Fail("dropped");
            return false;
        }
        catch (RequestException e)
        {
            error = e;
        }
        catch (InputException e)
        {
            error = RequestException.Malformed(e.Message);
        }
        catch (BadHttpRequestException e)
        {
            error = e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? RequestException.TooLarge($"the request has more than the {options.MaxBodyBytes} bytes that the server takes")
                : RequestException.Malformed(e.Message);
        }
        catch (Exception e)
        {
            error = RequestException.Failed(e.Message);
        }

        metrics.Fail(error.Type);
        if (error.Status >= StatusCodes.Status500InternalServerError) options.Log?.Invoke($"{http.Request.Method} {http.Request.Path}: {error.Message}");
        if (http.Response.HasStarted)
        {
            http.Abort();
            return false;
        }

        if (error.RetryAfter is { } seconds) http.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        if (error.Status == StatusCodes.Status401Unauthorized) http.Response.Headers.WWWAuthenticate = "Bearer";
        try
        {
            await Call.AnswerAsync(http.Response, error.Status, writer => write(writer, error), http.RequestAborted).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Nobody is there to read it.
        }

        return false;
    }

    private void CheckKey(HttpRequest request)
    {
        const string Scheme = "Bearer ";
        if (_keys.Length == 0) return;
        string header = request.Headers.Authorization.ToString();
        bool isKnown = false;
        // Digests of one length, all of them compared: the time tells nothing of the keys.
        if (header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            byte[] given = Digest(header[Scheme.Length..].Trim());
            foreach (byte[] key in _keys) isKnown |= CryptographicOperations.FixedTimeEquals(key, given);
        }

        if (!isKnown) throw RequestException.Unauthorized();
    }

    private static byte[] Digest(string key) => SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(key));

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        using System.IO.MemoryStream body = new((int)Math.Clamp(request.ContentLength ?? 0, 0, 1 << 20));
        await request.Body.CopyToAsync(body, cancellation).ConfigureAwait(false);
        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }
}

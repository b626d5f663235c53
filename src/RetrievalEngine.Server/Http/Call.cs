using System;
using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;

namespace RetrievalEngine.Server.Http;

/// <summary>One request under way, begun at <paramref name="start"/> (<see cref="Stopwatch"/>): its body, and how it is answered.</summary>
internal sealed class Call(HttpContext http, JsonFields body, long start, ServerMetrics metrics, string device)
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private long _tokens, _characters;
    private int _truncated;
    private TimeSpan _tokenized, _queued, _computed;

    /// <summary>What was asked for.</summary>
    public JsonFields Body => body;

    /// <summary>Cancelled when the client is gone.</summary>
    public CancellationToken Cancellation => http.RequestAborted;

    /// <summary>Counts what the texts of the request took, which had so many characters.</summary>
    public Computed<T> Count<T>(Computed<T> made, long characters)
    {
        _characters += characters;
        _tokens += made.Tokens;
        _truncated += made.Truncated;
        _tokenized += made.Tokenizing;
        _queued += made.Queued;
        _computed += made.Computing;
        return made;
    }

    /// <summary>Answers with the JSON that <paramref name="write"/> writes.</summary>
    public async Task AnswerAsync(Action<Utf8JsonWriter> write)
    {
        IHeaderDictionary headers = http.Response.Headers;
        if (_tokens > 0)
        {
            metrics.Computed(_tokens, _tokenized, _queued, _computed);
            headers["x-compute-type"] = device;
            headers["x-compute-characters"] = Text(_characters);
            headers["x-compute-tokens"] = Text(_tokens);
            headers["x-truncated-inputs"] = Text(_truncated);
            headers["x-compute-time"] = Milliseconds(_tokenized + _computed);
            headers["x-tokenization-time"] = Milliseconds(_tokenized);
            headers["x-queue-time"] = Milliseconds(_queued);
            headers["x-inference-time"] = Milliseconds(_computed);
        }

        headers["x-total-time"] = Milliseconds(Stopwatch.GetElapsedTime(start));
        await AnswerAsync(http.Response, StatusCodes.Status200OK, write, Cancellation).ConfigureAwait(false);
    }

    /// <summary>Answers with a status and JSON.</summary>
    public static async Task AnswerAsync(HttpResponse response, int status, Action<Utf8JsonWriter> write, CancellationToken cancellation)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, s_options)) write(writer);
        response.StatusCode = status;
        response.ContentType = "application/json";
        response.ContentLength = buffer.WrittenCount;
        await response.Body.WriteAsync(buffer.WrittenMemory, cancellation).ConfigureAwait(false);
    }

    private static string Milliseconds(TimeSpan time) => Text((long)time.TotalMilliseconds);

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}

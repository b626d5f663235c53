using System;
using System.Diagnostics;
using System.Linq;
using System.Reflection;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Server.Http;

/// <summary>What the server is and how it is: <c>/info</c>, <c>/v1/models</c>, <c>/health</c>, <c>/metrics</c>. Health needs no key.</summary>
internal sealed class OperationRoutes(ServedModels models, ServerOptions options, RequestPipeline pipeline, ServerMetrics metrics, Embedder? embedder, PairScorer? scorer,
    Searcher? searcher)
{
    private static readonly TimeSpan s_fresh = TimeSpan.FromSeconds(10);
    private long _lastProof;

    /// <summary>A model has just computed something.</summary>
    public void Prove() => Volatile.Write(ref _lastProof, Stopwatch.GetTimestamp());

    /// <summary>Adds the routes.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        pipeline.MapGet(routes, "/info", InfoAsync);
        pipeline.MapGet(routes, "/v1/models", ModelsAsync);
        pipeline.MapGet(routes, "/metrics", http =>
        {
            http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
            return http.Response.WriteAsync(metrics.Write((embedder?.Waiting ?? 0) + (scorer?.Waiting ?? 0)), http.RequestAborted);
        });
        routes.MapGet("/health/live", static http => SayAsync(http, StatusCodes.Status200OK, "ok"));
        foreach (string path in (string[])["/health", "/health/ready"]) routes.MapGet(path, ReadyAsync);
    }

    /// <summary>Whether a request would be answered: a model has computed something of late, or does so now.</summary>
    private async Task ReadyAsync(HttpContext http)
    {
        string? trouble = pipeline.IsStopping ? "the server is stopping" : null;
        try
        {
            long last = Volatile.Read(ref _lastProof);
            if (trouble is null && (last == 0 || Stopwatch.GetElapsedTime(last) > s_fresh)) await ProbeAsync(http.RequestAborted).ConfigureAwait(false);
        }
        catch (RequestException e) when (e.RetryAfter is not null)
        {
            // Busy is not ill.
        }
        catch (RequestException e)
        {
            trouble = e.Message;
        }
        catch (OperationCanceledException)
        {
            return;
        }

        await SayAsync(http, trouble is null ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, trouble ?? "ok").ConfigureAwait(false);
    }

    private async Task ProbeAsync(CancellationToken cancellation)
    {
        if (embedder is not null) await embedder.EmbedAsync(new TextInput(["a"], null), TextRole.Plain, embedder.Form, true, cancellation).ConfigureAwait(false);
        else await scorer!.ScoreAsync("a", [new Data.Document("", "", "a")], true, cancellation).ConfigureAwait(false);
    }

    private static Task SayAsync(HttpContext http, int status, string word) => Call.AnswerAsync(http.Response, status, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("status", word);
        writer.WriteEndObject();
    }, http.RequestAborted);

    private Task ModelsAsync(HttpContext http) => Call.AnswerAsync(http.Response, StatusCodes.Status200OK, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("object", "list");
        writer.WriteStartArray("data");
        foreach (string name in models.Names.Union(models.RerankerNames))
        {
            writer.WriteStartObject();
            writer.WriteString("id", name);
            writer.WriteString("object", "model");
            writer.WriteNumber("created", 0);
            writer.WriteString("owned_by", "retrieval-engine");
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }, http.RequestAborted);

    private Task InfoAsync(HttpContext http) => Call.AnswerAsync(http.Response, StatusCodes.Status200OK, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("model_id", models.Names[0]);
        writer.WriteString("served_model_name", models.Names[0]);
        writer.WriteString("model_sha", embedder?.Contract.WeightsHash ?? scorer!.Contract.WeightsHash);
        writer.WriteString("device", models.Device);
        writer.WriteStartObject("model_type");
        if (embedder is not null) WriteEmbedding(writer, embedder.Contract);
        if (scorer is not null)
        {
            writer.WriteStartObject("reranker");
            writer.WriteNumber("max_input_length", scorer.Contract.MaxLength);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        writer.WriteNumber("max_input_length", embedder?.Contract.PassageMaxLength ?? scorer!.Contract.MaxLength);
        writer.WriteNumber("max_batch_tokens", models.Encoder?.BatchTokens ?? models.Reranker!.BatchTokens);
        writer.WriteNumber("max_concurrent_requests", options.MaxConcurrentRequests);
        writer.WriteNumber("max_client_batch_size", options.MaxClientBatchSize);
        writer.WriteNumber("max_queued_tokens", options.MaxQueuedTokens);
        writer.WriteBoolean("auto_truncate", options.AutoTruncate);
        if (searcher is not null)
        {
            writer.WriteStartObject("index");
            writer.WriteNumber("rows", searcher.Manifest.Rows);
            writer.WriteNumber("dimensions", searcher.Manifest.Dimensions);
            writer.WriteEndObject();
        }

        writer.WriteString("version", typeof(RetrievalServer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion);
        writer.WriteEndObject();
    }, http.RequestAborted);

    private void WriteEmbedding(Utf8JsonWriter writer, EncodingContract contract)
    {
        writer.WriteStartObject("embedding");
        writer.WriteString("pooling", EncodingContract.PoolingName(contract.Pooling));
        writer.WriteNumber("dimensions", contract.Dimensions);
        writer.WriteBoolean("normalize", contract.Normalize);
        writer.WriteString("query_prefix", contract.QueryPrefix);
        writer.WriteString("passage_prefix", contract.PassagePrefix);
        writer.WriteNumber("query_max_len", contract.QueryMaxLength);
        writer.WriteNumber("passage_max_len", contract.PassageMaxLength);
        writer.WriteString("default_prompt_name", options.DefaultRole.ToString().ToLowerInvariant());
        writer.WriteEndObject();
    }
}

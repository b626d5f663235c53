using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Routing;
using RetrievalEngine.Data;
using RetrievalEngine.Indexing;

namespace RetrievalEngine.Server.Http;

/// <summary><c>/search</c>: queries become vectors, the index is searched exactly, and with a reranker the best are put in a better order, in one call.</summary>
internal sealed class SearchRoutes(Texts texts, Searcher searcher, PairScorer? scorer, ServedModels models, ServerOptions options)
{
    private const int DefaultDepth = 10, DefaultRerankDepth = 100, MostHits = 1 << 20;

    /// <summary>Adds the route.</summary>
    public void Map(IEndpointRouteBuilder routes, RequestPipeline pipeline) =>
        pipeline.MapPost(routes, "/search", "search", RequestPipeline.TeiError, SearchAsync);

    private async Task SearchAsync(Call call)
    {
        JsonFields body = call.Body;
        if (body.Has("query") == body.Has("queries")) throw RequestException.Malformed("request: give either \"query\" or \"queries\"");
        string[] queries = body.Has("query") ? [body.Text("query")] : body.TextsOrNull("queries")!;
        if (queries.Length == 0) throw body.Error("queries", "is empty");
        if (queries.Length > options.MaxClientBatchSize)
            throw RequestException.TooLarge($"{queries.Length} queries are more than the {options.MaxClientBatchSize} that one request may have");
        int depth = body.IntOrNull("depth", 1, MostHits) ?? DefaultDepth;
        if ((long)depth * queries.Length > MostHits) throw RequestException.TooLarge($"{queries.Length} queries of depth {depth} are more than {MostHits} results");
        bool withText = body.Flag("return_text", false), reranks = body.Flag("rerank", false);
        if (withText && models.Documents is null) throw RequestException.Invalid("\"return_text\" needs a server with --corpus");
        if (reranks && (scorer is null || models.Documents is null)) throw RequestException.Invalid("\"rerank\" needs a server with --reranker and --corpus");
        if (!reranks && body.Has("rerank_depth")) throw RequestException.Invalid("\"rerank_depth\" goes with \"rerank\": true");
        int found = reranks ? Math.Max(depth, body.IntOrNull("rerank_depth", 1, MostHits) ?? DefaultRerankDepth) : depth;
        RankOptions rank = new()
        {
            Filter = body.IdentifiersOrNull("filter") is { } ids ? new HashSet<string>(ids, StringComparer.Ordinal) : null,
            ScoreThreshold = body.Has("score_threshold") ? (float)body.Number("score_threshold", -float.MaxValue, float.MaxValue) : null,
        };

        TextInput input = new(queries, null, false);
        Embeddings made = call.Count(
            await texts.Embedder.EmbedAsync(input, TextRole.Query, texts.Embedder.Form, texts.Truncates(body), call.Cancellation).ConfigureAwait(false), input.Characters);
        RankedQuery[] ranked = await searcher.SearchAsync(made.Vectors, found, rank, call.Cancellation).ConfigureAwait(false);
        Hit[][] hits = await Task.WhenAll(ranked.Select((query, i) => HitsAsync(call, queries[i], query.Hits, reranks, withText, depth))).ConfigureAwait(false);
        await call.AnswerAsync(writer => Write(writer, queries, hits)).ConfigureAwait(false);
    }

    private async Task<Hit[]> HitsAsync(Call call, string query, IReadOnlyList<DenseHit> found, bool reranks, bool withText, int depth)
    {
        Document?[] documents = reranks || withText ? [.. found.Select(hit => models.Documents!(hit.DocId))] : new Document?[found.Count];
        Hit[] hits = [.. found.Select((hit, i) => new Hit(hit.DocId, hit.Score, withText ? documents[i] : null))];
        if (!reranks) return hits;
        int missing = Array.FindIndex(documents, static document => document is null);
        if (missing >= 0) throw RequestException.Failed($"the corpus has no document \"{found[missing].DocId}\" that the index has");
        PairScores scores = call.Count(
            await scorer!.ScoreAsync(query, [.. documents.Select(static document => document!.Value)], truncate: true, call.Cancellation).ConfigureAwait(false), 0);
        return [.. RerankRoutes.Order(scores.Scores).Take(depth).Select(i => hits[i] with { Score = scores.Scores[i] })];
    }

    private static void Write(Utf8JsonWriter writer, string[] queries, Hit[][] hits)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("results");
        for (int i = 0; i < queries.Length; i++)
        {
            writer.WriteStartObject();
            writer.WriteString("query", queries[i]);
            writer.WriteStartArray("hits");
            foreach (Hit hit in hits[i])
            {
                writer.WriteStartObject();
                writer.WriteString("id", hit.Id);
                writer.WriteNumber("score", hit.Score);
                if (hit.Document is { } document)
                {
                    writer.WriteString("title", document.Title);
                    writer.WriteString("text", document.Text);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private readonly record struct Hit(string Id, float Score, Document? Document);
}

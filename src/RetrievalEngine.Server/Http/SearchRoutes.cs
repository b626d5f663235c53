using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Routing;
using RetrievalEngine.Data;
using RetrievalEngine.Indexing;

namespace RetrievalEngine.Server.Http;

/// <summary><c>/search</c>: queries become vectors, the index is searched exactly, and with a reranker the best are put in a better order, in one call.</summary>
internal sealed class SearchRoutes(Texts texts, Searcher searcher, PairScorer? scorer, ServedModels models, ServerOptions options)
{
    private const int DefaultDepth = 10, DefaultRerankDepth = 100, MostHits = 1 << 20, MostPairs = 1 << 16;

    /// <summary>Adds the route.</summary>
    public void Map(IEndpointRouteBuilder routes, RequestPipeline pipeline) =>
        pipeline.MapPost(routes, "/search", "search", RequestPipeline.TeiError, SearchAsync);

    private async Task SearchAsync(Call call)
    {
        JsonFields body = call.Body;
        if (body.Has("query") == body.Has("queries")) throw RequestException.Malformed("request: give either \"query\" or \"queries\"");
        string[] queries = body.Has("query") ? [body.Text("query")] : Texts.ReadAll(body, "queries", options.MaxClientBatchSize);
        if (queries.Length == 0) throw body.Error("queries", "is empty");
        int depth = body.IntOrNull("depth", 1, MostHits) ?? DefaultDepth;
        if ((long)depth * queries.Length > MostHits) throw RequestException.TooLarge($"{queries.Length} queries of depth {depth} are more than {MostHits} results");
        bool withText = body.Flag("return_text", false), reranks = body.Flag("rerank", false);
        if (withText && models.Documents is null) throw RequestException.Invalid("\"return_text\" needs a server with --corpus");
        if (reranks && (scorer is null || models.Documents is null)) throw RequestException.Invalid("\"rerank\" needs a server with --reranker and --corpus");
        if (!reranks && body.Has("rerank_depth")) throw RequestException.Invalid("\"rerank_depth\" goes with \"rerank\": true");
        int found = reranks ? Math.Max(depth, body.IntOrNull("rerank_depth", 1, MostHits) ?? DefaultRerankDepth) : depth;
        if (reranks && (long)found * queries.Length > MostPairs)
            throw RequestException.TooLarge($"{found} documents for each of {queries.Length} queries are more than the {MostPairs} pairs that one request may have reranked");
        RankOptions rank = new()
        {
            Rows = body.IdentifiersOrNull("filter") is { } ids ? searcher.RowsOf(new HashSet<string>(ids, StringComparer.Ordinal), call.Cancellation) : null,
            ScoreThreshold = body.Has("score_threshold") ? (float)body.Number("score_threshold", -float.MaxValue, float.MaxValue) : null,
        };

        TextInput input = new(queries, null);
        Computed<float[]> made = call.Count(
            await texts.Embedder.EmbedAsync(input, TextRole.Query, texts.Embedder.Form, texts.Truncates(body), call.Cancellation).ConfigureAwait(false), input.Characters);
        RankedQuery[] ranked = await searcher.SearchAsync(made.Values, found, rank, call.Cancellation).ConfigureAwait(false);
        Document[][] documents = [.. ranked.Select(query => reranks || withText ? DocumentsOf(query.Hits, call.Cancellation) : [])];
        Hit[][] hits = [.. ranked.Select((query, q) => query.Hits.Select((hit, i) => new Hit(hit.DocId, hit.Score, withText ? documents[q][i] : null)).ToArray())];
        if (reranks) await RerankAsync(call, queries, documents, hits, depth).ConfigureAwait(false);
        await call.AnswerAsync(writer => Write(writer, queries, hits)).ConfigureAwait(false);
    }

    /// <summary>Puts the hits of each query in the reranker's order, with its scores, and keeps <paramref name="depth"/> of them.</summary>
    private async Task RerankAsync(Call call, string[] queries, Document[][] documents, Hit[][] hits, int depth)
    {
        Computed<float> made = call.Count(await scorer!.ScoreAsync([.. queries.Select((query, q) => (query, (IReadOnlyList<Document>)documents[q]))], truncate: true, call.Cancellation)
            .ConfigureAwait(false), 0);
        int first = 0;
        for (int q = 0; q < hits.Length; q++)
        {
            float[] scores = made.Values[first..(first += documents[q].Length)];
            Hit[] found = hits[q];
            hits[q] = [.. RerankRoutes.Order(scores).Take(depth).Select(i => found[i] with { Score = scores[i] })];
        }
    }

    private Document[] DocumentsOf(IReadOnlyList<DenseHit> hits, CancellationToken cancellation)
    {
        Document[] documents = new Document[hits.Count];
        for (int i = 0; i < documents.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                documents[i] = models.Documents!(hits[i].DocId) ?? throw RequestException.Failed($"the corpus has no document \"{hits[i].DocId}\" that the index has");
            }
            catch (InputException e)
            {
                throw RequestException.Failed(e.Message);
            }
        }

        return documents;
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

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Routing;
using RetrievalEngine.Data;

namespace RetrievalEngine.Server.Http;

/// <summary>
/// <c>/rerank</c>: with <c>texts</c> as text-embeddings-inference answers it, with <c>documents</c> as Jina and Cohere do. Scores are probabilities unless raw ones are
/// asked for; the order is that of the head's output, which does not saturate.
/// </summary>
internal static class RerankRoutes
{
    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, RequestPipeline pipeline, PairScorer scorer, ServedModels models, ServerOptions options)
    {
        IReadOnlyList<string> names = models.RerankerNames.Count > 0 ? models.RerankerNames : models.Names;
        foreach (string path in (string[])["/rerank", "/v1/rerank", "/v2/rerank"])
        {
            pipeline.MapPost(routes, path, "rerank", path == "/rerank" ? RequestPipeline.TeiError : RequestPipeline.OpenAiError,
                call => call.Body.Has("texts") ? AnswerTeiAsync(call, scorer, options) : AnswerJinaAsync(call, scorer, names, options));
        }
    }

    /// <summary>1 / (1 + e^-x).</summary>
    public static float Sigmoid(float x) => (float)(1 / (1 + Math.Exp(-x)));

    /// <summary>The positions of <paramref name="scores"/>, best first; of equal ones the earlier.</summary>
    public static int[] Order(float[] scores) => [.. Enumerable.Range(0, scores.Length).OrderByDescending(i => scores[i])];

    private static async Task AnswerTeiAsync(Call call, PairScorer scorer, ServerOptions options)
    {
        string[] texts = Texts.ReadAll(call.Body, "texts", options.MaxClientBatchSize);
        bool raw = call.Body.Flag("raw_scores", false), withText = call.Body.Flag("return_text", false);
        Computed<float> made = await ScoreAsync(call, scorer, options, texts, "texts").ConfigureAwait(false);
        await call.AnswerAsync(writer =>
        {
            writer.WriteStartArray();
            foreach (int i in Order(made.Values))
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", i);
                writer.WriteNumber("score", raw ? made.Values[i] : Sigmoid(made.Values[i]));
                if (withText) writer.WriteString("text", texts[i]);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }).ConfigureAwait(false);
    }

    private static async Task AnswerJinaAsync(Call call, PairScorer scorer, IReadOnlyList<string> names, ServerOptions options)
    {
        Texts.CheckModel(call.Body, names);
        string[] texts = Documents(call.Body, options.MaxClientBatchSize);
        int best = call.Body.IntOrNull("top_n", 1, int.MaxValue) ?? texts.Length;
        bool raw = call.Body.Flag("raw_scores", false), withText = call.Body.Flag("return_documents", false);
        Computed<float> made = await ScoreAsync(call, scorer, options, texts, "documents").ConfigureAwait(false);
        await call.AnswerAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", Guid.NewGuid().ToString("D", CultureInfo.InvariantCulture));
            writer.WriteString("model", names[0]);
            writer.WriteStartArray("results");
            foreach (int i in Order(made.Values).Take(best))
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", i);
                writer.WriteNumber("relevance_score", raw ? made.Values[i] : Sigmoid(made.Values[i]));
                if (withText)
                {
                    writer.WriteStartObject("document");
                    writer.WriteString("text", texts[i]);
                    writer.WriteEndObject();
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteStartObject("usage");
            writer.WriteNumber("total_tokens", made.Tokens);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }).ConfigureAwait(false);
    }

    private static async Task<Computed<float>> ScoreAsync(Call call, PairScorer scorer, ServerOptions options, string[] texts, string field)
    {
        string query = call.Body.Text("query");
        if (texts.Length == 0) throw call.Body.Error(field, "is empty");
        Document[] passages = [.. texts.Select(static text => new Document("", "", text))];
        Computed<float> made = await scorer.ScoreAsync(query, passages, call.Body.Flag("truncate", options.AutoTruncate), call.Cancellation).ConfigureAwait(false);
        return call.Count(made, query.Length + texts.Sum(static text => (long)text.Length));
    }

    /// <summary>Documents are strings, or objects with a text.</summary>
    private static string[] Documents(JsonFields body, int most)
    {
        if (!body.TryGet("documents", out JsonElement value)) throw body.Error("documents", "is missing (or \"texts\")");
        if (value.ValueKind == JsonValueKind.Array) TextInput.RequireAtMost(value.GetArrayLength(), most, "documents");
        bool areObjects = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Object;
        return areObjects ? [.. body.Objects("documents").Select(static document => document.Text("text"))] : body.TextsOrNull("documents")!;
    }
}

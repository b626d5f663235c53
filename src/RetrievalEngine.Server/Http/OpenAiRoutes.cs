using System;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Routing;

namespace RetrievalEngine.Server.Http;

/// <summary><c>/v1/embeddings</c> as OpenAI's clients ask for it: float or base64, token ids as well as texts.</summary>
internal static class OpenAiRoutes
{
    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, RequestPipeline pipeline, Texts texts)
    {
        foreach (string path in (string[])["/v1/embeddings", "/embeddings"])
            pipeline.MapPost(routes, path, "embed", RequestPipeline.OpenAiError, call => EmbedAsync(call, texts));
    }

    private static async Task EmbedAsync(Call call, Texts texts)
    {
        Texts.CheckModel(call.Body, texts.Names);
        bool base64 = call.Body.TextOrNull("encoding_format") switch
        {
            null or "float" => false,
            "base64" => true,
            { } other => throw call.Body.Error("encoding_format", $"must be \"float\" or \"base64\", not \"{other}\""),
        };
        TextInput input = texts.Read(call.Body, "input");
        Computed<float[]> made = call.Count(await texts.Embedder.EmbedAsync(input, texts.Role(call.Body, "input_type"), texts.Form(call.Body, hasNormalize: false),
            texts.Truncates(call.Body, otherwise: false), call.Cancellation).ConfigureAwait(false), input.Characters);
        await call.AnswerAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("object", "list");
            writer.WriteStartArray("data");
            for (int i = 0; i < made.Values.Length; i++)
            {
                writer.WriteStartObject();
                writer.WriteString("object", "embedding");
                writer.WriteNumber("index", i);
                if (base64) writer.WriteBase64String("embedding", MemoryMarshal.AsBytes(made.Values[i].AsSpan()));
                else Texts.WriteVector(writer, made.Values[i], "embedding");
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteString("model", texts.Names[0]);
            writer.WriteStartObject("usage");
            writer.WriteNumber("prompt_tokens", made.Tokens);
            writer.WriteNumber("total_tokens", made.Tokens);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }).ConfigureAwait(false);
    }
}

using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Routing;
using RetrievalEngine.Text;

namespace RetrievalEngine.Server.Http;

/// <summary>The routes of text-embeddings-inference around an embedding model: <c>/embed</c>, <c>/similarity</c>, <c>/tokenize</c>, <c>/decode</c>.</summary>
internal static class TeiRoutes
{
    // Each token of an answer takes some seventy bytes.
    private const int MostCharacters = 1 << 20;

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, RequestPipeline pipeline, Texts texts)
    {
        pipeline.MapPost(routes, "/embed", "embed", RequestPipeline.TeiError, call => EmbedAsync(call, texts));
        pipeline.MapPost(routes, "/similarity", "similarity", RequestPipeline.TeiError, call => CompareAsync(call, texts));
        pipeline.MapPost(routes, "/tokenize", "tokenize", RequestPipeline.TeiError, call => TokenizeAsync(call, texts));
        pipeline.MapPost(routes, "/decode", "decode", RequestPipeline.TeiError, call => DecodeAsync(call, texts));
    }

    private static async Task EmbedAsync(Call call, Texts texts)
    {
        CheckDirection(call, texts);
        TextInput input = texts.Read(call.Body, "inputs");
        Computed<float[]> made = call.Count(await texts.Embedder.EmbedAsync(input, texts.Role(call.Body, "prompt_name"), texts.Form(call.Body, hasNormalize: true),
            texts.Truncates(call.Body), call.Cancellation).ConfigureAwait(false), input.Characters);
        await call.AnswerAsync(writer =>
        {
            writer.WriteStartArray();
            foreach (float[] vector in made.Values) Texts.WriteVector(writer, vector);

            writer.WriteEndArray();
        }).ConfigureAwait(false);
    }

    private static async Task CompareAsync(Call call, Texts texts)
    {
        JsonFields inputs = call.Body.Object("inputs"), parameters = call.Body.ObjectOrNull("parameters") ?? call.Body;
        string source = inputs.Text("source_sentence");
        IReadOnlyList<string> sentences = texts.Read(inputs, "sentences").Texts ?? throw inputs.Error("sentences", "must be an array of strings");
        TextInput input = new([source, .. sentences], null);
        Computed<float[]> made = call.Count(await texts.Embedder.EmbedAsync(input, texts.Role(parameters, "prompt_name"), texts.Embedder.Form,
            texts.Truncates(parameters), call.Cancellation).ConfigureAwait(false), input.Characters);
        await call.AnswerAsync(writer =>
        {
            writer.WriteStartArray();
            foreach (float[] vector in made.Values.Skip(1)) writer.WriteNumberValue(Cosine(made.Values[0], vector));
            writer.WriteEndArray();
        }).ConfigureAwait(false);
    }

    private static Task TokenizeAsync(Call call, Texts texts)
    {
        TextInput input = texts.Read(call.Body, "inputs");
        if (input.Texts is null) throw call.Body.Error("inputs", "must be a string or an array of strings");
        if (input.Characters > MostCharacters) throw RequestException.TooLarge($"{input.Characters} characters are more than the {MostCharacters} that one request may have tokenized");
        bool special = call.Body.Flag("add_special_tokens", true);
        TextRole role = texts.Role(call.Body, "prompt_name");
        Tokenizer tokenizer = texts.Embedder.Tokenizer;
        (string Text, TokenizedText Tokens)[] tokenized = [.. input.Texts.Select(text => texts.Embedder.Format(text, role)).Select(text => (text, tokenizer.EncodeWithOffsets(text, special)))];
        return call.AnswerAsync(writer =>
        {
            writer.WriteStartArray();
            foreach ((string text, TokenizedText tokens) in tokenized) WriteTokens(writer, tokenizer, text, tokens, special ? texts.Embedder.Contract.EosTokenId : null);
            writer.WriteEndArray();
        });
    }

    private static void WriteTokens(Utf8JsonWriter writer, Tokenizer tokenizer, string text, TokenizedText tokens, int? eos)
    {
        int[] units = CodePointStarts(text);
        writer.WriteStartArray();
        for (int i = 0; i < tokens.Ids.Length; i++)
        {
            (int start, int end) = tokens.Offsets[i];
            // What the template added stands for no text; a "[SEP]" that the text has does.
            if (start == end && tokenizer.IsSpecial(tokens.Ids[i])) WriteToken(writer, tokens.Ids[i], tokens.Tokens[i], null);
            else WriteToken(writer, tokens.Ids[i], text[units[start]..units[end]], (start, end));
        }

        if (eos is { } id) WriteToken(writer, id, tokenizer.IdToToken(id) ?? "", null);
        writer.WriteEndArray();
    }

    private static void WriteToken(Utf8JsonWriter writer, int id, string text, (int Start, int End)? place)
    {
        writer.WriteStartObject();
        writer.WriteNumber("id", id);
        writer.WriteString("text", text);
        writer.WriteBoolean("special", place is null);
        if (place is { } stretch)
        {
            writer.WriteNumber("start", stretch.Start);
            writer.WriteNumber("stop", stretch.End);
        }
        else
        {
            writer.WriteNull("start");
            writer.WriteNull("stop");
        }

        writer.WriteEndObject();
    }

    private static Task DecodeAsync(Call call, Texts texts)
    {
        TextInput input = texts.Read(call.Body, "ids");
        if (input.Ids is null) throw call.Body.Error("ids", "must be an array of token ids, or of such arrays");
        bool skip = call.Body.Flag("skip_special_tokens", true);
        string[] decoded = [.. input.Ids.Select(ids => texts.Embedder.Tokenizer.Decode(ids, skip))];
        return call.AnswerAsync(writer =>
        {
            writer.WriteStartArray();
            foreach (string text in decoded) writer.WriteStringValue(text);
            writer.WriteEndArray();
        });
    }

    /// <summary>The side that is cut is the model's.</summary>
    private static void CheckDirection(Call call, Texts texts)
    {
        TruncationSide side = texts.Embedder.Contract.TruncationSide;
        if (call.Body.TextOrNull("truncation_direction") is { } wanted && !string.Equals(wanted, side.ToString(), StringComparison.OrdinalIgnoreCase))
            throw RequestException.Invalid($"\"truncation_direction\": \"{wanted}\" is not possible: this model's texts are cut on the {side.ToString().ToLowerInvariant()}");
    }

    private static float Cosine(float[] a, float[] b)
    {
        double dot = 0, left = 0, right = 0;
        for (int i = 0; i < a.Length; i++)
        {
            dot += (double)a[i] * b[i];
            left += (double)a[i] * a[i];
            right += (double)b[i] * b[i];
        }

        return left == 0 || right == 0 ? 0 : (float)(dot / Math.Sqrt(left * right));
    }

    /// <summary>For each code point of <paramref name="text"/>, and behind the last, where it begins.</summary>
    private static int[] CodePointStarts(string text)
    {
        List<int> starts = new(text.Length + 1);
        for (int i = 0; i < text.Length; i += char.IsSurrogatePair(text, i) ? 2 : 1) starts.Add(i);
        starts.Add(text.Length);
        return [.. starts];
    }
}

using System;
using System.Collections.Generic;
using System.Text.Json;

namespace RetrievalEngine.Text;

/// <summary>Reads the model of a <c>tokenizer.json</c>: a further kind of model is one more case here.</summary>
internal static class ModelFile
{
    /// <summary>Reads the model; an unknown kind is refused by name.</summary>
    public static TokenModel Read(JsonFields json)
    {
        // Files from before "type" was written are told apart by their fields.
        string untyped = json.Has("merges") ? "BPE" : "WordPiece";
        string type = json.TextOrNull("type") ?? untyped;
        return type switch
        {
            "BPE" => ReadBpe(json),
            "WordPiece" => ReadWordPiece(json),
            "Unigram" => ReadUnigram(json),
            _ => throw json.Error("type", $"names the tokenizer model \"{type}\", which is not supported"),
        };
    }

    private static BpeModel ReadBpe(JsonFields json)
    {
        if (json.Number("dropout", 0, 0, 1) > 0) throw json.Error("dropout", "asks for random tokenization, which is not supported");

        Vocabulary vocabulary = ReadVocabulary(json.Object("vocab"));
        BpeOptions options = new(
            json.TextOrNull("continuing_subword_prefix") ?? "",
            json.TextOrNull("end_of_word_suffix") ?? "",
            json.Flag("fuse_unk", false),
            json.Flag("byte_fallback", false),
            json.Flag("ignore_merges", false));
        string? unknown = json.TextOrNull("unk_token");
        return new(vocabulary, ReadMerges(json, vocabulary, options), options, unknown is null ? -1 : vocabulary.IdOf(unknown));
    }

    private static WordPieceModel ReadWordPiece(JsonFields json)
    {
        Vocabulary vocabulary = ReadVocabulary(json.Object("vocab"));
        string unknown = json.Text("unk_token");
        int id = vocabulary.IdOf(unknown);
        if (id < 0) throw json.Error("unk_token", $"is \"{unknown}\", which is not in the vocabulary");
        string prefix = json.TextOrNull("continuing_subword_prefix") ?? "##";
        return new(vocabulary, id, prefix, json.IntOrNull("max_input_chars_per_word", 0, int.MaxValue) ?? 100);
    }

    private static UnigramModel ReadUnigram(JsonFields json)
    {
        if (!json.TryGet("vocab", out JsonElement array) || array.ValueKind != JsonValueKind.Array) throw json.Error("vocab", "must be an array");
        int count = array.GetArrayLength();
        if (count > Vocabulary.MaxId) throw json.Error("vocab", $"has {count} tokens, more than {Vocabulary.MaxId}");
        Dictionary<string, int> ids = new(count, StringComparer.Ordinal);
        double[] scores = new double[count];
        foreach (JsonElement entry in array.EnumerateArray())
        {
            int id = ids.Count;
            if (entry.ValueKind != JsonValueKind.Array || entry.GetArrayLength() != 2 || entry[1].ValueKind != JsonValueKind.Number
                || !double.IsFinite(scores[id] = entry[1].GetDouble()) || Text(entry[0]) is not { } token)
                throw json.Error($"vocab[{id}]", "must be a token and its score");
            if (!ids.TryAdd(token, id)) throw json.Error($"vocab[{id}]", $"is \"{token}\", which is there already");
        }

        int unknown = json.IntOrNull("unk_id", 0, count - 1) ?? throw json.Error("unk_id", "is missing: text that no token covers could not be told");
        return new(new(ids), scores, unknown, json.Flag("byte_fallback", false));
    }

    private static string? Text(JsonElement element)
    {
        try
        {
            return element.ValueKind == JsonValueKind.String ? element.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>A vocabulary: an object of tokens and ids.</summary>
    public static Vocabulary ReadVocabulary(JsonFields vocabulary)
    {
        Dictionary<string, int> ids = new(vocabulary.Element.GetPropertyCount());
        foreach (JsonProperty entry in vocabulary.Element.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out int id) || id is < 0 or > Vocabulary.MaxId)
            {
                throw vocabulary.Error(entry.Name, $"must be a token id from 0 to {Vocabulary.MaxId}, not {JsonFields.Shorten(entry.Value)}");
            }

            ids[entry.Name] = id;
        }

        return new(ids);
    }

    /// <summary>Merges are [left, right] or, in older files, "left right"; their result must be a token, too.</summary>
    private static List<Merge> ReadMerges(JsonFields json, Vocabulary vocabulary, BpeOptions options)
    {
        if (!json.TryGet("merges", out JsonElement array) || array.ValueKind != JsonValueKind.Array) throw json.Error("merges", "must be an array");
        List<Merge> merges = new(array.GetArrayLength());
        foreach (JsonElement element in array.EnumerateArray())
        {
            (string left, string right) = Parts(element, json, merges.Count);
            string result = right.Length < options.ContinuingPrefix.Length ? left : left + right[options.ContinuingPrefix.Length..];
            Merge merge = new(vocabulary.IdOf(left), vocabulary.IdOf(right), vocabulary.IdOf(result));
            if (merge.Left < 0 || merge.Right < 0 || merge.Result < 0)
            {
                string missing = merge.Left < 0 ? left : merge.Right < 0 ? right : result;
                throw json.Error($"merges[{merges.Count}]", $"needs \"{missing}\", which is not in the vocabulary");
            }

            merges.Add(merge);
        }

        return merges;
    }

    private static (string Left, string Right) Parts(JsonElement element, JsonFields json, int index)
    {
        try
        {
            if (element.ValueKind == JsonValueKind.Array && element.GetArrayLength() == 2 && element[0].ValueKind == JsonValueKind.String
                && element[1].ValueKind == JsonValueKind.String)
            {
                return (element[0].GetString()!, element[1].GetString()!);
            }

            string[] parts = element.ValueKind == JsonValueKind.String ? element.GetString()!.Split(' ') : [];
            if (parts.Length == 2) return (parts[0], parts[1]);
        }
        catch (InvalidOperationException e)
        {
            throw new InputException(json.Error($"merges[{index}]", "is not valid Unicode").Message, e);
        }

        throw json.Error($"merges[{index}]", "must be two tokens");
    }
}

using System;
using System.Collections.Generic;
using System.Text.Json;

namespace RetrievalEngine.Text;

/// <summary>One place in a template: a sequence (0 or 1), or special tokens (<paramref name="Sequence"/> is -1).</summary>
internal sealed record TemplatePart(int Sequence, int TypeId, int[] Ids, string[] Tokens)
{
    /// <summary>The place of a sequence.</summary>
    public static TemplatePart Of(int sequence, int typeId) => new(sequence, typeId, [], []);

    /// <summary>The place of one special token.</summary>
    public static TemplatePart Of((string Token, int Id) special, int typeId) => new(-1, typeId, [special.Id], [special.Token]);
}

/// <summary>What is done to the model's tokens: white space taken out of the offsets, special tokens put around them.</summary>
/// <param name="Single">The template of one sequence.</param>
/// <param name="Pair">The template of a pair.</param>
/// <param name="Trims">For each trimming step in order: whether one leading space of the first token was added and stays.</param>
internal sealed record PostProcessor(TemplatePart[] Single, TemplatePart[] Pair, bool[] Trims)
{
    /// <summary>No special tokens.</summary>
    public static PostProcessor None { get; } = new([TemplatePart.Of(0, 0)], [TemplatePart.Of(0, 0), TemplatePart.Of(1, 1)], []);

    /// <summary>How many special tokens a template adds.</summary>
    public static int SpecialCount(TemplatePart[] template)
    {
        int count = 0;
        foreach (TemplatePart part in template) count += part.Ids.Length;
        return count;
    }

    /// <summary>
    /// Takes leading and trailing white space (also as byte-level models write it) out of the offsets of one sequence's tokens.
    /// </summary>
    public static void TrimOffsets(ReadOnlySpan<string> tokens, Span<(int Start, int End)> offsets, bool addPrefixSpace)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            string token = tokens[i];
            int leading = 0, trailing = 0;
            while (leading < token.Length && IsSpace(token[leading])) leading++;
            while (trailing < token.Length && IsSpace(token[^(trailing + 1)])) trailing++;
            (int start, int end) = offsets[i];
            bool added = (i == 0 || start == 0) && addPrefixSpace && leading == 1;
            if (leading > 0 && !added) start = Math.Min(start + leading, end);
            if (trailing > 0 && end >= trailing) end = Math.Max(end - trailing, start);
            offsets[i] = (start, end);
        }
    }

    /// <summary>Reads the post-processor of a <c>tokenizer.json</c>.</summary>
    public static PostProcessor Read(JsonFields? component)
    {
        if (component is not { } json) return None;
        List<bool> trims = [];
        PostProcessor? template = null;
        Read(json, trims, ref template);
        return (template ?? None) with { Trims = [.. trims] };
    }

    private static void Read(JsonFields json, List<bool> trims, ref PostProcessor? template)
    {
        PostProcessor? read = null;
        switch (json.Text("type"))
        {
            case "Sequence":
                foreach (JsonFields part in json.Objects("processors")) Read(part, trims, ref template);
                break;
            case "ByteLevel":
                if (json.Flag("trim_offsets", true)) trims.Add(json.Flag("add_prefix_space", true));
                break;
            case "TemplateProcessing":
                read = new(ReadTemplate(json, "single"), ReadTemplate(json, "pair"), []);
                break;
            case "BertProcessing":
                read = Surround(TokenAndId(json, "cls"), TokenAndId(json, "sep"), separators: 1, secondType: 1);
                break;
            case "RobertaProcessing":
                if (json.Flag("trim_offsets", true)) trims.Add(json.Flag("add_prefix_space", true));
                read = Surround(TokenAndId(json, "cls"), TokenAndId(json, "sep"), separators: 2, secondType: 0);
                break;
            default:
                throw json.Error("type", $"names the post-processor \"{json.Text("type")}\", which is not supported");
        }

        if (read is null) return;
        if (template is not null) throw json.Error("type", "puts a second template behind a first one, which is not supported");
        template = read;
    }

    /// <summary>BERT's way, and RoBERTa's: <c>cls A sep B sep</c>, with <paramref name="separators"/> between the two.</summary>
    public static PostProcessor Surround((string Token, int Id) cls, (string Token, int Id) sep, int separators, int secondType)
    {
        List<TemplatePart> pair = [TemplatePart.Of(cls, 0), TemplatePart.Of(0, 0)];
        for (int i = 0; i < separators; i++) pair.Add(TemplatePart.Of(sep, 0));
        pair.AddRange([TemplatePart.Of(1, secondType), TemplatePart.Of(sep, secondType)]);
        return new([TemplatePart.Of(cls, 0), TemplatePart.Of(0, 0), TemplatePart.Of(sep, 0)], [.. pair], []);
    }

    private static TemplatePart[] ReadTemplate(JsonFields json, string field)
    {
        List<TemplatePart> parts = [];
        foreach (JsonFields item in json.Objects(field))
        {
            if (item.ObjectOrNull("Sequence") is { } sequence)
            {
                int index = sequence.Text("id") switch
                {
                    "A" => 0,
                    "B" when field == "pair" => 1,
                    string id => throw sequence.Error("id", $"names the sequence \"{id}\", which a {field} template does not have"),
                };
                parts.Add(TemplatePart.Of(index, sequence.Int("type_id", 0, 255)));
                continue;
            }

            JsonFields special = item.Object("SpecialToken");
            JsonFields definition = json.Object("special_tokens").Object(special.Text("id"));
            int[] ids = Ids(definition);
            string[] tokens = definition.TextsOrNull("tokens") ?? throw definition.Error("tokens", "is missing");
            if (ids.Length != tokens.Length) throw definition.Error("tokens", "must have as many elements as \"ids\"");
            parts.Add(new(-1, special.Int("type_id", 0, 255), ids, tokens));
        }

        return [.. parts];
    }

    private static int[] Ids(JsonFields definition)
    {
        if (!definition.TryGet("ids", out JsonElement array)) throw definition.Error("ids", "is missing");
        if (array.ValueKind != JsonValueKind.Array) throw definition.Error("ids", "must be an array");
        int[] ids = new int[array.GetArrayLength()];
        for (int i = 0; i < ids.Length; i++) ids[i] = Id(array[i], definition, "ids");
        return ids;
    }

    private static (string Token, int Id) TokenAndId(JsonFields json, string field)
    {
        if (!json.TryGet(field, out JsonElement pair) || pair.ValueKind != JsonValueKind.Array || pair.GetArrayLength() != 2
            || pair[0].ValueKind != JsonValueKind.String)
        {
            throw json.Error(field, "must be [token, id]");
        }

        int id = Id(pair[1], json, field);
        return (pair[0].GetString()!, id);
    }

    private static int Id(JsonElement value, JsonFields json, string field)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id is >= 0 and <= Vocabulary.MaxId) return id;
        throw json.Error(field, $"must hold token ids from 0 to {Vocabulary.MaxId}, not {JsonFields.Shorten(value)}");
    }

    private static bool IsSpace(char c) => c == 'Ġ' || char.IsWhiteSpace(c);
}

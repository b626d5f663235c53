using System.Collections.Generic;
using System.Text.Json;

namespace RetrievalEngine.Server;

/// <summary>What a request wants vectors of: texts, or token ids that are taken as they are.</summary>
/// <param name="Texts">The texts; null where there are ids.</param>
/// <param name="Ids">The sequences of ids.</param>
internal sealed record TextInput(IReadOnlyList<string>? Texts, IReadOnlyList<int[]>? Ids)
{
    /// <summary>Characters of the texts.</summary>
    public long Characters
    {
        get
        {
            long sum = 0;
            foreach (string text in Texts ?? []) sum += text.Length;
            return sum;
        }
    }

    /// <summary>Reads the field <paramref name="name"/>: a string, an array of strings, an array of ids, or an array of such arrays, at most <paramref name="most"/>.</summary>
    /// <exception cref="InputException">It is none of these, or empty.</exception>
    /// <exception cref="RequestException">There are more.</exception>
    public static TextInput Read(JsonFields body, string name, int most)
    {
        if (!body.TryGet(name, out JsonElement value)) throw body.Error(name, "is missing");
        if (value.ValueKind == JsonValueKind.String) return new TextInput([body.Text(name)], null);
        if (value.ValueKind != JsonValueKind.Array) throw body.Error(name, $"must be a string or an array, not {JsonFields.Kind(value)}");
        if (value.GetArrayLength() == 0) throw body.Error(name, "is empty");
        if (value[0].ValueKind == JsonValueKind.Number) return new TextInput(null, [ReadIds(body, name, value)]);
        RequireAtMost(value.GetArrayLength(), most, name);
        return value[0].ValueKind switch
        {
            JsonValueKind.Array => new TextInput(null, ReadLists(body, name, value)),
            _ => new TextInput(body.TextsOrNull(name), null),
        };
    }

    /// <summary>Refuses more than <paramref name="most"/> of what the field <paramref name="name"/> holds.</summary>
    public static void RequireAtMost(int count, int most, string name)
    {
        if (count > most) throw RequestException.TooLarge($"{count} {name} are more than the {most} that one request may have");
    }

    private static int[][] ReadLists(JsonFields body, string name, JsonElement lists)
    {
        int[][] ids = new int[lists.GetArrayLength()][];
        int i = 0;
        foreach (JsonElement list in lists.EnumerateArray())
        {
            if (list.ValueKind != JsonValueKind.Array) throw body.Error($"{name}[{i}]", $"must be an array of token ids, not {JsonFields.Kind(list)}");
            ids[i] = ReadIds(body, $"{name}[{i}]", list);
            i++;
        }

        return ids;
    }

    private static int[] ReadIds(JsonFields body, string name, JsonElement list)
    {
        int[] ids = new int[list.GetArrayLength()];
        if (ids.Length == 0) throw body.Error(name, "is empty");
        int i = 0;
        foreach (JsonElement id in list.EnumerateArray())
        {
            if (id.ValueKind != JsonValueKind.Number || !id.TryGetInt32(out ids[i]) || ids[i] < 0)
                throw body.Error($"{name}[{i}]", $"must be a token id, not {JsonFields.Shorten(id)}");
            i++;
        }

        return ids;
    }
}

using System.IO;
using System.Text.Json;

namespace RetrievalEngine.Text;

/// <summary>Reads <c>tokenizer_config.json</c> and, for what it does not name, <c>special_tokens_map.json</c>.</summary>
internal static class SpecialTokensFile
{
    private static readonly string[] _names = ["tokenizer_config.json", "special_tokens_map.json"];

    /// <summary>The special tokens of <paramref name="folder"/>, with ids of <paramref name="tokenizer"/>.</summary>
    public static SpecialTokens Read(string folder, Tokenizer tokenizer)
    {
        JsonFields?[] files = System.Array.ConvertAll(_names, name =>
            File.Exists(Path.Combine(folder, name)) ? JsonFields.Read(Path.Combine(folder, name)) : (JsonFields?)null);
        int? Id(string name)
        {
            foreach (JsonFields? file in files)
            {
                if (file is not { } fields || !fields.TryGet(name, out JsonElement value)) continue;
                return tokenizer.TokenToId(value.ValueKind == JsonValueKind.Object ? fields.Object(name).Text("content") : fields.Text(name));
            }

            return null;
        }

        bool? Flag(string name) => files[0] is { } config && config.Has(name) ? config.Flag(name, false) : null;
        double maxLength = files[0] is { } file ? file.Number("model_max_length", 0, 0, double.MaxValue) : 0;
        return new(
            Id("bos_token"),
            Id("eos_token"),
            Id("pad_token"),
            Id("cls_token"),
            Id("sep_token"),
            Id("unk_token"),
            // Transformers writes 1e30 where there is no limit.
            maxLength is >= 1 and <= int.MaxValue ? (int)maxLength : null,
            Flag("add_bos_token"),
            Flag("add_eos_token"));
    }
}

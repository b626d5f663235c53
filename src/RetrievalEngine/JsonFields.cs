using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using System.Text.Unicode;

namespace RetrievalEngine;

/// <summary>
/// One JSON object of an untrusted file, read field by field. Every complaint is an <see cref="InputException"/> that names the file (and line) and
/// the field. A field that is <c>null</c> counts as absent. Depth is bounded, a field given twice is refused.
/// </summary>
internal readonly struct JsonFields
{
    private const int MaxFileBytes = 64 << 20;
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 64, AllowDuplicateProperties = false };
    private readonly string _prefix;
    private readonly HashSet<string>? _asked;

    private JsonFields(JsonElement element, string where, string prefix, HashSet<string>? asked = null)
    {
        Element = element;
        Where = where;
        _prefix = prefix;
        _asked = asked;
    }

    /// <summary>The object as parsed.</summary>
    public JsonElement Element { get; }

    /// <summary>What messages begin with: <c>config.json</c>, <c>train.jsonl line 812</c>.</summary>
    public string Where { get; }

    /// <summary>The names of all fields, in file order.</summary>
    public IEnumerable<string> Names
    {
        get
        {
            foreach (JsonProperty property in Element.EnumerateObject()) yield return NameOf(property);
        }
    }

    /// <summary>The fields that are not null and that nobody asked a <see cref="Tracked"/> view for, in file order.</summary>
    public IEnumerable<string> Unasked
    {
        get
        {
            foreach (JsonProperty property in Element.EnumerateObject())
            {
                if (property.Value.ValueKind != JsonValueKind.Null && _asked?.Contains(NameOf(property)) != true) yield return NameOf(property);
            }
        }
    }

    /// <summary>Parses UTF-8 <paramref name="json"/>, which must be one object.</summary>
    public static JsonFields Parse(ReadOnlySpan<byte> json, string where) => Object(ParseElement(json, where), where);

    /// <summary>Parses any JSON value under the same bounds.</summary>
    public static JsonElement ParseElement(ReadOnlySpan<byte> json, string where)
    {
        if (json.StartsWith("\uFEFF"u8)) json = json[3..];
        if (!Utf8.IsValid(json)) throw new InputException($"{where}: not valid UTF-8; convert it to UTF-8");
        try
        {
            return JsonElement.Parse(json, s_options);
        }
        catch (JsonException e)
        {
            string line = e.LineNumber is > 0 ? $" (line {e.LineNumber + 1})" : "";
            throw new InputException($"{where}: not valid JSON{line}: {FirstSentence(e.Message)}", e);
        }
        catch (InvalidOperationException e)
        {
            // The search for duplicate names decodes them, and a lone surrogate cannot be decoded.
            throw new InputException($"{where}: not valid JSON: a field name is not valid Unicode", e);
        }
    }

    /// <summary>Reads and parses a small file (configuration, index), which must be one object.</summary>
    public static JsonFields Read(string path) => Parse(ReadBytes(path), path);

    /// <summary>The bytes of a small file.</summary>
    public static byte[] ReadBytes(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path} is a folder where a file is needed");
        if (!File.Exists(path)) throw new InputException($"{path}: no such file");
        try
        {
            long length = new FileInfo(path).Length;
            if (length > MaxFileBytes) throw new InputException($"{path}: {length} bytes, but such a file has at most {MaxFileBytes}");
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Views <paramref name="element"/>, which must be an object.</summary>
    public static JsonFields Object(JsonElement element, string where)
    {
        if (element.ValueKind != JsonValueKind.Object) throw new InputException($"{where}: a JSON object is needed, not {Kind(element)}");
        return new JsonFields(element, where, "");
    }

    /// <summary>The same object, remembering which fields are asked for, so that <see cref="Unasked"/> are those that had no effect.</summary>
    public JsonFields Tracked() => new(Element, Where, _prefix, new HashSet<string>(StringComparer.Ordinal));

    /// <summary>The exception that names <paramref name="field"/>: <c>WHERE: field "NAME" WHAT</c>.</summary>
    public InputException Error(string field, string what) => new($"{Where}: field \"{_prefix}{field}\" {what}");

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => TryGet(name, out _);

    /// <summary>The field's value, unless it is absent or null.</summary>
    public bool TryGet(string name, out JsonElement value)
    {
        _asked?.Add(name);
        return Element.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;
    }

    /// <summary>Whether the field asks for something: it is there, and not null, false, an empty array or an empty object.</summary>
    public bool IsSet(string name) => TryGet(name, out JsonElement value) && value.ValueKind switch
    {
        JsonValueKind.False => false,
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.EnumerateObject().MoveNext(),
        _ => true,
    };

    /// <summary>A string.</summary>
    public string Text(string name) => TextOrNull(name) ?? throw Error(name, "is missing");

    /// <summary>
    /// The name of a file beside this one, which starts with the field's name and is one of <paramref name="isOurs"/>. Only such names are opened: a manifest
    /// from elsewhere cannot point outside its folder.
    /// </summary>
    public string FileName(string name, Predicate<string> isOurs)
    {
        ArgumentNullException.ThrowIfNull(isOurs);
        string fileName = Text(name);
        return isOurs(fileName) && fileName.StartsWith(name, StringComparison.Ordinal) ? fileName : throw Error(name, "is not a file name of this format");
    }

    /// <summary>A string, or null where absent.</summary>
    public string? TextOrNull(string name) => TryGet(name, out JsonElement value) ? AsText(value, name) : null;

    /// <summary>A string or a whole number as text: identifiers come both ways.</summary>
    public string Identifier(string name) => IdentifierOrNull(name) ?? throw Error(name, "is missing");

    /// <summary>As <see cref="Identifier"/>, or null where absent.</summary>
    public string? IdentifierOrNull(string name) => TryGet(name, out JsonElement value) ? AsIdentifier(value, name) : null;

    /// <summary>A whole number of a range.</summary>
    public int Int(string name, int min, int max) => IntOrNull(name, min, max) ?? throw Error(name, "is missing");

    /// <summary>A whole number of a range, or null where absent.</summary>
    public int? IntOrNull(string name, int min, int max)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind != JsonValueKind.Number) throw Error(name, $"must be a whole number, not {Kind(value)}");
        // Python writes 4096.0 where a computation made a float of it; any other fraction is an error.
        if (!value.TryGetDouble(out double number) || number != Math.Floor(number))
            throw Error(name, $"must be a whole number, not {Shorten(value)}");
        if (number < min || number > max) throw Error(name, $"must lie between {min} and {max}, not {Shorten(value)}");
        return (int)number;
    }

    /// <summary>A finite number of a range, or <paramref name="otherwise"/> where absent.</summary>
    public double Number(string name, double otherwise, double min, double max)
    {
        if (!TryGet(name, out JsonElement value)) return otherwise;
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number))
            throw Error(name, $"must be a number, not {Kind(value)}");
        if (!(number >= min && number <= max)) throw Error(name, $"must lie between {min} and {max}, not {Shorten(value)}");
        return number;
    }

    /// <summary>A finite number of a range.</summary>
    public double Number(string name, double min, double max) => Has(name) ? Number(name, 0, min, max) : throw Error(name, "is missing");

    /// <summary>true or false.</summary>
    public bool Flag(string name) => Has(name) ? Flag(name, false) : throw Error(name, "is missing");

    /// <summary>true or false, or <paramref name="otherwise"/> where absent.</summary>
    public bool Flag(string name, bool otherwise)
    {
        if (!TryGet(name, out JsonElement value)) return otherwise;
        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False)) throw Error(name, $"must be true or false, not {Kind(value)}");
        return value.GetBoolean();
    }

    /// <summary>A nested object.</summary>
    public JsonFields Object(string name) => ObjectOrNull(name) ?? throw Error(name, "is missing");

    /// <summary>A nested object, or null where absent.</summary>
    public JsonFields? ObjectOrNull(string name)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind != JsonValueKind.Object) throw Error(name, $"must be an object, not {Kind(value)}");
        return new JsonFields(value, Where, $"{_prefix}{name}.");
    }

    /// <summary>The objects of an array.</summary>
    public JsonFields[] Objects(string name) => ObjectsOrNull(name) ?? throw Error(name, "is missing");

    /// <summary>The objects of an array; null where the field is absent.</summary>
    public JsonFields[]? ObjectsOrNull(string name)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind != JsonValueKind.Array) throw Error(name, $"must be an array, not {Kind(value)}");
        JsonFields[] objects = new JsonFields[value.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemName = $"{name}[{i}]";
            if (item.ValueKind != JsonValueKind.Object) throw Error(itemName, $"must be an object, not {Kind(item)}");
            objects[i++] = new JsonFields(item, Where, $"{_prefix}{itemName}.");
        }

        return objects;
    }

    /// <summary>The strings of an array; null where the field is absent.</summary>
    public string[]? TextsOrNull(string name) => ArrayOrNull(name, identifiers: false);

    /// <summary>The strings or whole numbers of an array, as text; null where the field is absent.</summary>
    public string[]? IdentifiersOrNull(string name) => ArrayOrNull(name, identifiers: true);

    /// <summary>What a value is, for a sentence.</summary>
    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "true or false",
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        _ => "null",
    };

    /// <summary>The value as written, cut for a message.</summary>
    public static string Shorten(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= 60 ? text : string.Concat(text.AsSpan(0, 60), "…");
    }

    /// <summary>What a JSON exception complains about, without the position that it repeats.</summary>
    internal static string FirstSentence(string message)
    {
        int end = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return end < 0 ? message : message[..end];
    }

    private string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException e)
        {
            throw new InputException($"{Where}: a field name is not valid Unicode", e);
        }
    }

    private string[]? ArrayOrNull(string name, bool identifiers)
    {
        if (!TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind != JsonValueKind.Array) throw Error(name, $"must be an array, not {Kind(value)}");
        string[] texts = new string[value.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemName = $"{name}[{i}]";
            texts[i++] = identifiers ? AsIdentifier(item, itemName) : AsText(item, itemName);
        }

        return texts;
    }

    private string AsIdentifier(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _) ? value.GetRawText() : AsText(value, name);

    private string AsText(JsonElement value, string name)
    {
        if (value.ValueKind != JsonValueKind.String) throw Error(name, $"must be a string, not {Kind(value)}");
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new InputException(Error(name, "is not valid Unicode").Message, e);
        }
    }
}

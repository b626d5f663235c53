using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;

namespace RetrievalEngine.Cli.Demo;

/// <summary>
/// Reads the XML documentation that compilers write (https://learn.microsoft.com/dotnet/csharp/language-reference/xmldoc/): members by their
/// documentation id, such as <c>M:System.String.Compare(System.String,System.String)</c>, with summary, parameters, returns and remarks.
/// </summary>
internal static partial class XmlDocumentation
{
    private const long LargestFile = 256L << 20;
    private const int DeepestMarkup = 64;

    /// <summary>The members of the file at <paramref name="path"/>, in its order.</summary>
    /// <exception cref="InputException">The file is no XML documentation.</exception>
    public static List<DocumentedMember> Read(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            return Read(file, path);
        }
        catch (XmlException e)
        {
            throw new InputException($"{path} line {e.LineNumber}: is no well-formed XML documentation ({e.Message.TrimEnd('.')})", e);
        }
    }

    private static List<DocumentedMember> Read(Stream file, string path)
    {
        XmlReaderSettings settings = new() { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, MaxCharactersInDocument = LargestFile };
        using XmlReader reader = XmlReader.Create(file, settings);
        if (!reader.ReadToFollowing("doc") || !reader.ReadToDescendant("members")) throw new InputException($"{path}: element doc/members is missing; is it XML documentation?");
        List<DocumentedMember> members = [];
        for (bool found = reader.ReadToDescendant("member"); found; found = reader is { NodeType: XmlNodeType.Element, Name: "member" } || reader.ReadToNextSibling("member"))
            if (Parse((XElement)XNode.ReadFrom(reader), path) is { } member) members.Add(member);
        return members;
    }

    private static DocumentedMember? Parse(XElement member, string file)
    {
        string id = (string?)member.Attribute("name") ?? "";
        if (id.Length < 3 || id[1] != ':' || !"TMPFE".Contains(id[0], StringComparison.Ordinal)) return null;
        int end = id.AsSpan().IndexOfAny('(', '~');
        string path = id[2..(end < 0 ? id.Length : end)];

        List<(string Name, string Text)> parameters = [];
        foreach (XElement p in member.Elements().Where(e => e.Name.LocalName is "typeparam" or "param"))
            parameters.Add(((string?)p.Attribute("name") ?? "", Text(p, file)));
        string[] typeParameters = [.. member.Elements("typeparam").Select(p => (string?)p.Attribute("name") ?? "T")];
        string[] names = [.. member.Elements("param").Select(p => (string?)p.Attribute("name") ?? "")];
        string signature = end >= 0 && id[end] == '(' ? Signature(id[(end + 1)..id.LastIndexOf(')')], names, typeParameters) : "";
        return new DocumentedMember(id[0], path, signature, Text(member.Element("summary"), file), parameters,
            $"{Text(member.Element("returns"), file)} {Text(member.Element("value"), file)}".Trim(), Text(member.Element("remarks"), file));
    }

    private static string Text(XElement? element, string file)
    {
        if (element is null) return "";
        StringBuilder text = new();
        Render(element, text, file, depth: 0);
        return Spaces().Replace(text.ToString(), " ").Trim();
    }

    private static void Render(XElement element, StringBuilder text, string file, int depth)
    {
        if (depth > DeepestMarkup) throw new InputException($"{file}: markup is nested deeper than {DeepestMarkup} elements");
        foreach (XNode node in element.Nodes())
        {
            if (node is XText plain) text.Append(plain.Value);
            if (node is not XElement child) continue;
            string? name = (string?)child.Attribute("langword") ?? (string?)child.Attribute("name");
            if ((string?)child.Attribute("cref") is { } cref) text.Append(ReferenceName(cref));
            else if (child.IsEmpty && name is not null) text.Append(name);
            else if (child.Name.LocalName is "see" or "seealso" or "c" or "sup" or "sub" or "em" or "strong" or "a") Render(child, text, file, depth + 1);
            else
            {
                text.Append(' ');
                Render(child, text, file, depth + 1);
                text.Append(' ');
            }
        }
    }

    /// <summary><c>M:System.String.Compare(System.String)</c> → <c>String.Compare</c>; <c>T:System.Collections.Generic.List`1</c> → <c>List</c>.</summary>
    internal static string ReferenceName(string cref)
    {
        int start = cref.Length > 1 && cref[1] == ':' ? 2 : 0, end = cref.AsSpan().IndexOfAny('(', '~');
        string[] parts = Arity().Replace(cref[start..(end < 0 ? cref.Length : end)], "").Split('.');
        if (parts.Length < 2 || start == 0 || cref[0] is 'T' or 'N' or '!') return parts[^1];
        return parts[^1] is "#ctor" ? parts[^2] : $"{parts[^2]}.{parts[^1]}";
    }

    private static string Signature(string types, string[] names, string[] typeParameters)
    {
        // Commas inside braces and brackets belong to one type.
        List<string> parameters = [];
        int depth = 0, from = 0;
        for (int i = 0; i <= types.Length; i++)
        {
            if (i < types.Length && types[i] is '{' or '[' or '(') depth++;
            else if (i < types.Length && types[i] is '}' or ']' or ')') depth--;
            if (i < types.Length && (types[i] != ',' || depth > 0)) continue;
            string name = parameters.Count < names.Length ? " " + names[parameters.Count] : "";
            parameters.Add(TypeName(types[from..i], typeParameters) + name);
            from = i + 1;
        }

        return $"({string.Join(", ", parameters)})";
    }

    private static string TypeName(string type, string[] typeParameters)
    {
        string named = MethodTypeParameter().Replace(type, m => int.TryParse(m.Groups[1].Value, out int i) && i < typeParameters.Length ? typeParameters[i] : "T");
        return Qualifier().Replace(Arity().Replace(TypeParameter().Replace(named, "T"), ""), "").Replace('{', '<').Replace('}', '>').TrimEnd('@');
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"`+\d+")]
    private static partial Regex Arity();

    [GeneratedRegex(@"``(\d+)")]
    private static partial Regex MethodTypeParameter();

    [GeneratedRegex(@"(?<![\w])`\d+")]
    private static partial Regex TypeParameter();

    [GeneratedRegex(@"(?:\w+\.)+")]
    private static partial Regex Qualifier();
}

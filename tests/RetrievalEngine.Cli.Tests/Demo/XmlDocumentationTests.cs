using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using NUnit.Framework;
using RetrievalEngine.Cli.Demo;

namespace RetrievalEngine.Cli.Tests.Demo;

internal sealed class XmlDocumentationTests
{
    private const string Example = """
        <?xml version="1.0" encoding="utf-8"?>
        <doc><assembly><name>A</name></assembly><members>
          <member name="M:N.Set`1.Add``1(System.Collections.Generic.Dictionary{`0,System.String},``0[],System.Int32@)">
            <summary>Adds <paramref name="item" /> to the <see cref="T:N.Set`1" />
               or throws <see langword="null" />; see <see cref="M:N.Set`1.Remove(`0)" /> and <c>x &lt; y</c>.</summary>
            <typeparam name="TKey">The key.</typeparam>
            <param name="map">The map.</param><param name="item">An <see cref="T:System.Int32">integer</see>.</param><param name="n" />
            <returns><para>One.</para><para>Two.</para></returns>
          </member><member name="P:N.Set`1.Count"><value>How many.</value></member>
          <member name="!:broken"><summary>Left out.</summary></member>
        </members></doc>
        """;

    [Test]
    public void Read_RendersReferencesAsNames()
    {
        List<DocumentedMember> members = Read(Example);
        Assert.That(members, Has.Count.EqualTo(2));
        DocumentedMember add = members[0];
        Assert.Multiple(() =>
        {
            Assert.That(add.Kind, Is.EqualTo('M'));
            Assert.That(add.Path, Is.EqualTo("N.Set`1.Add``1"));
            Assert.That(add.Signature, Is.EqualTo("(Dictionary<T,String> map, TKey[] item, Int32 n)"));
            Assert.That(add.Summary, Is.EqualTo("Adds item to the Set or throws null; see Set.Remove and x < y."));
            Assert.That(add.Parameters, Is.EqualTo(new[] { ("TKey", "The key."), ("map", "The map."), ("item", "An Int32."), ("n", "") }));
            Assert.That(add.Returns, Is.EqualTo("One. Two."));
            Assert.That(members[1].Returns, Is.EqualTo("How many."));
            Assert.That(members[1].Signature, Is.Empty);
        });
    }

    [TestCase("M:System.String.Compare(System.String)", "String.Compare")]
    [TestCase("T:System.Collections.Generic.List`1", "List")]
    [TestCase("M:System.Uri.#ctor(System.String)", "Uri")]
    [TestCase("Global", "Global")]
    public void ReferenceName_IsTheShortName(string cref, string expected) => Assert.That(XmlDocumentation.ReferenceName(cref), Is.EqualTo(expected));

    [TestCase("", "no well-formed XML")]
    [TestCase("<doc><members><member", "no well-formed XML")]
    [TestCase("<other />", "doc/members is missing")]
    [TestCase("<!DOCTYPE d [<!ENTITY a \"b\">]><doc><members/></doc>", "no well-formed XML")]
    public void Read_BadFile_IsNamed(string text, string expected) =>
        Assert.That(() => Read(text), Throws.TypeOf<InputException>().With.Message.Contains(expected).And.Message.Contains(".xml"));

    [Test]
    public void Read_DeepMarkup_IsRefused()
    {
        string deep = string.Concat("<doc><members><member name=\"M:A.B\"><summary>", Repeat("<para>", 5000), Repeat("</para>", 5000), "</summary></member></members></doc>");
        Assert.That(() => Read(deep), Throws.TypeOf<InputException>().With.Message.Contains("nested deeper"));
    }

    [Test]
    public void Read_MutatedFile_ThrowsNothingElse()
    {
        Random random = new(20);
        byte[] good = System.Text.Encoding.UTF8.GetBytes(Example);
        for (int round = 0; round < 300; round++)
        {
            byte[] bytes = good[..(round % 3 == 0 ? random.Next(good.Length) : good.Length)];
            for (int i = 0; i < round % 5 && bytes.Length > 0; i++) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                Read(bytes);
            }
            catch (InputException)
            {
            }
        }
    }

    private static string Repeat(string text, int times) => new StringBuilder().Insert(0, text, times).ToString();

    private static List<DocumentedMember> Read(string text) => Read(System.Text.Encoding.UTF8.GetBytes(text));

    private static List<DocumentedMember> Read(byte[] bytes)
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"{Guid.NewGuid():N}.xml");
        File.WriteAllBytes(path, bytes);
        try
        {
            return XmlDocumentation.Read(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}

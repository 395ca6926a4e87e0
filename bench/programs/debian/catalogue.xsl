<?xml version="1.0"?>
<!-- Items sorted, grouped by a key, and rendered as a page. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="html" indent="yes"/>
  <xsl:key name="by-maker" match="item" use="@maker"/>
  <xsl:template match="/catalogue">
    <html>
      <body>
        <xsl:for-each select="item[generate-id() = generate-id(key('by-maker', @maker)[1])]">
          <xsl:sort select="@maker"/>
          <h1><xsl:value-of select="@maker"/></h1>
          <xsl:for-each select="key('by-maker', @maker)">
            <xsl:sort select="price" data-type="number" order="descending"/>
            <xsl:apply-templates select="."/>
          </xsl:for-each>
        </xsl:for-each>
      </body>
    </html>
  </xsl:template>
  <xsl:template match="item">
    <p id="{@id}">
      <b><xsl:value-of select="concat(name, ' (', translate(@id, 'i', 'I'), ')')"/></b>
      <xsl:for-each select="tag"><i><xsl:value-of select="."/></i></xsl:for-each>
      <xsl:value-of select="format-number(price, '0.00')"/>
    </p>
  </xsl:template>
</xsl:stylesheet>
